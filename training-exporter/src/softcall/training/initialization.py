"""The start of a run: the first prompt, the first label head, and the words of the labels."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from softcall.artifact.artifact import Artifact, require_classification
from softcall.artifact.bounds import max_artifact_bytes
from softcall.artifact.label_head import default_verbalizer, verbalizer_head
from softcall.artifact.metadata import PromptType
from softcall.base.source import LoadedBase
from softcall.core.bounded_file import read_bounded
from softcall.core.errors import SoftcallError
from softcall.evaluation.classifier import PromptedClassifier
from softcall.evaluation.prompt import KvPrompt, Prompt, SoftPrompt
from softcall.stores.addresses import open_store
from softcall.stores.store import check_task
from softcall.training.settings.config import Head, TrainConfig
from softcall.training.settings.prompt_init import PromptInit, default_init_text, initial_prompt
from softcall.training.settings.sweep import Candidate


@dataclass(frozen=True)
class SourcePrompt:
    """Another task's prompt to start from, as its artifact has it, and the artifact's sha256."""

    prompt: np.ndarray
    prompt_type: PromptType
    sha256: str


def source_prompt(config: TrainConfig, base: LoadedBase) -> SourcePrompt | None:
    """Return the prompt that `--init-from` names: that of an artifact's file, or of a task of `--store`."""
    if config.init_from is None:
        return None
    path = Path(config.init_from)
    if path.is_file():
        data = read_bounded(path, max_artifact_bytes())
    elif config.store is not None:
        data, _ = open_store(config.store).get(check_task(config.init_from))
    else:
        raise SoftcallError(
            f"--init-from {path}: no such file; an artifact is expected, or with --store the name of a task"
        )
    artifact = require_classification(
        Artifact.from_bytes(data, config.init_from),
        f"--init-from {config.init_from}",
        "training starts from prompts that classify only so far",
    )
    artifact.require_base(base.identity)
    starting = [each for each in config.tried if each.init == PromptInit.ARTIFACT]
    for tokens in {each.tokens for each in starting} - {artifact.tokens}:
        raise SoftcallError(
            f"--init-from {config.init_from}: its prompt has {artifact.tokens} tokens, not {tokens};"
            f" give --tokens {artifact.tokens}"
        )
    if artifact.prompt_type == PromptType.KV and PromptType.SOFT in {each.prompt for each in starting}:
        raise SoftcallError(
            f"--init-from {config.init_from}: it is a KV prompt, from which no soft prompt can start;"
            " give --prompt kv"
        )
    return SourcePrompt(artifact.prompt, artifact.prompt_type, hashlib.sha256(data).hexdigest())


def first_classifier(
    config: TrainConfig,
    candidate: Candidate,
    base: LoadedBase,
    words: Sequence[str],
    source: SourcePrompt | None = None,
) -> PromptedClassifier:
    """Return the initial classifier: the candidate's prompt, the verbalizers' label head, a bias of zeros."""
    return classifier_behind(_first_prompt(config, candidate, base, words, source), config, base, words)


def _first_prompt(
    config: TrainConfig,
    candidate: Candidate,
    base: LoadedBase,
    words: Sequence[str],
    source: SourcePrompt | None,
) -> Prompt:
    """Return the candidate's first prompt: a KV prompt is what the base computes of a soft one.

    From another task's KV prompt only a KV prompt starts, which `source_prompt` has made sure of.
    """
    given = source if candidate.init == PromptInit.ARTIFACT else None
    if given is not None and given.prompt_type == PromptType.KV:
        return KvPrompt.of(given.prompt, base.identity.kv)
    vectors = initial_prompt(
        candidate.init,
        candidate.tokens,
        _rows_of(base.model.get_input_embeddings()),
        base.tokenizer,
        init_text=init_text_of(config, words),
        verbalizers=words,
        seed=candidate.seed,
        given=given.prompt if given else None,
    )
    if candidate.prompt == PromptType.KV:
        return KvPrompt.encoded(vectors, base.model.base_model)
    return SoftPrompt(vectors)


def classifier_behind(
    prompt: Prompt, config: TrainConfig, base: LoadedBase, words: Sequence[str]
) -> PromptedClassifier:
    """Return a classifier of a prompt, the verbalizers' label head, and a bias of zeros."""
    head = verbalizer_head(_rows_of(base.model.get_output_embeddings()), base.tokenizer, words)
    bias = np.zeros(len(head), np.float32)
    return PromptedClassifier(prompt, head, bias, train_head=config.head == Head.TRAINED)


def verbalizers(config: TrainConfig, labels: tuple[str, ...]) -> list[str]:
    """Return the words of each label."""
    for label in config.verbalizers:
        if label not in labels:
            raise SoftcallError(
                f"--verbalizer names {label!r}, which is not a label of {config.data}; "
                f"its labels are {', '.join(labels[:20])}"
            )
    return [config.verbalizers.get(label, default_verbalizer(label)) for label in labels]


def init_text_of(config: TrainConfig, words: Sequence[str]) -> str:
    """Return the text that a prompt starts from with `--init text`."""
    return config.init_text if config.init_text is not None else default_init_text(words)


def _rows_of(embedding: nn.Module) -> Callable[[Sequence[int]], np.ndarray]:
    return lambda ids: embedding.weight[torch.as_tensor(ids)].detach().cpu().numpy()
