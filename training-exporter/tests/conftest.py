"""What tests of several modules start from."""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import S3Server

from softcall.base.bundle import Bundle

FILLERS = ["the", "film", "food", "card", "money", "waiter", "morning", "account", "machine", "scene"]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base as a Hugging Face folder, as `--base` takes it."""
    import torch
    from make_tiny import tiny_base
    from transformers import PreTrainedTokenizerFast

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("base") / "tiny-llama"
    base = tiny_base()
    base.model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=base.tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def toy_rows() -> list[dict[str, str]]:
    """240 rows that a single word tells apart: `joy` is in every good text and `rude` in every bad one."""
    generator = random.Random(5)
    rows = []
    for number in range(240):
        label, word = (("good", "joy"), ("bad", "rude"))[number % 2]
        words = generator.choices(FILLERS, k=generator.randint(2, 9))
        words.insert(generator.randrange(len(words) + 1), word)
        rows.append({"text": " ".join(words) + f" {number}", "label": label})
    return rows


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server without buckets."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty file store, which the commands find in the environment."""
    address = f"file:{tmp_path}/tasks"
    (tmp_path / "tasks").mkdir()
    monkeypatch.setenv("SOFTCALL_STORE", address)
    return address


@pytest.fixture(scope="session")
def default_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle of the default base: the kept graph with the weights of the GGUF file."""
    from softcall.base.source import Source
    from softcall.export.kept_graph import base_from_graph

    return base_from_graph(Source.resolve(None), tmp_path_factory.mktemp("default") / "base")[0]
