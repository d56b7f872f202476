"""What an artifact may hold is what the server accepts: the numbers are those of its sources."""

import re
from pathlib import Path

import numpy as np
import pytest

from softcall.artifact import bounds as bounds
from softcall.artifact.artifact import ClassificationArtifact
from softcall.artifact.safetensors_file import SafetensorsFile, safetensors_bytes, with_metadata
from softcall.artifact.template import Template
from softcall.core.errors import SoftcallError
from softcall.core.strict_json import MAX_NAME_CHARACTERS, MAX_NUMBER_CHARACTERS

SERVER = Path(__file__).resolve().parents[2] / "src/main/java/io/softcall"


def constant(file, name):
    """A number of a Java source, such as `MAX_LABELS_BYTES = 256 << 10;`."""
    (found,) = re.findall(rf"\b{name} = ([0-9_]+)(?: << ([0-9]+))?;", (SERVER / file).read_text("utf-8"))
    return int(found[0]) << int(found[1] or 0)


@pytest.mark.parametrize(
    ("mine", "file", "name"),
    [
        (bounds.MAX_HEADER_BYTES, "task/artifact/Safetensors.java", "MAX_HEADER_BYTES"),
        (bounds.MAX_HEADER_DEPTH, "task/artifact/Safetensors.java", "MAX_DEPTH"),
        (bounds.MAX_JSON_TOKENS, "task/artifact/Safetensors.java", "MAX_TOKENS"),
        (bounds.MAX_TENSORS, "task/artifact/Safetensors.java", "MAX_TENSORS"),
        (bounds.MAX_RANK, "task/artifact/Safetensors.java", "MAX_RANK"),
        (bounds.MAX_METADATA_DEPTH, "task/artifact/Metadata.java", "MAX_DEPTH"),
        (bounds.MAX_JSON_TOKENS, "task/artifact/Metadata.java", "MAX_TOKENS"),
        (bounds.MAX_LABELS, "task/artifact/KindReader.java", "MAX_LABELS"),
        (bounds.MAX_LABEL_CHARACTERS, "task/artifact/KindReader.java", "MAX_LABEL"),
        (bounds.MAX_LABELS_BYTES, "task/artifact/KindReader.java", "MAX_LABELS_BYTES"),
        (bounds.MAX_TEMPLATE_CHARACTERS, "task/artifact/KindReader.java", "MAX_TEMPLATE"),
    ],
)
def test_a_number_is_the_servers(mine, file, name):
    assert mine == constant(file, name)


def test_defaults_of_settings_are_the_servers():
    store = (SERVER / "store/StoreConfig.java").read_text("utf-8")
    assert re.search(r'@WithDefault\("64M"\)\s+MemorySize maxArtifactBytes\(\);', store)
    assert bounds.max_artifact_bytes() == 64 << 20
    settings = (SERVER / "Settings.java").read_text("utf-8")
    assert '"softcall.store.max-artifact-bytes", new Bytes("1K", "1G")' in settings


def test_defaults_of_jackson_are_ours():
    """StreamReadConstraints: the server sets neither."""
    assert (MAX_NUMBER_CHARACTERS, MAX_NAME_CHARACTERS) == (1_000, 50_000)


@pytest.mark.parametrize(
    ("given", "size"), [("1K", 1 << 10), ("1g", 1 << 30), ("2048", 2048), (" 20M ", 20 << 20), ("", 64 << 20)]
)
def test_the_servers_variable_is_ours(monkeypatch, given, size):
    monkeypatch.setenv("SOFTCALL_STORE_MAX_ARTIFACT_BYTES", given)
    assert bounds.max_artifact_bytes() == size


@pytest.mark.parametrize("given", ["0", "1023", "2G", "16MB", "-1", "16 M", "much", "9" * 40])
def test_other_sizes_are_refused(monkeypatch, given):
    monkeypatch.setenv("SOFTCALL_STORE_MAX_ARTIFACT_BYTES", given)
    with pytest.raises(SoftcallError, match="expected a size from 1K to 1G, such as 64M"):
        bounds.max_artifact_bytes()


def artifact(**changes):
    fields = {
        "prompt": np.ones((3, 4)),
        "labels": ("a", "b"),
        "template": Template("{text}"),
        "base_name": "tiny",
        "base_fingerprint": "ab" * 32,
    } | changes
    rows = len(fields["labels"])
    return ClassificationArtifact(**{"label_head": np.ones((rows, 4)), "label_bias": np.zeros(rows)} | fields)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [f"{i}" for i in range(10_001)]}, "10001 labels; expected 2 to 10000"),
        ({"labels": ["a", "x" * 1_001]}, "has 1001 characters; at most 1000 are accepted"),
        ({"labels": ["a", "\U0001f680" * 501]}, "has 1002 characters; at most 1000 are accepted"),
        (
            {"labels": [f"{i:04}" + "返" * 200 for i in range(435)]},
            "435 labels have 262740 bytes together; at most 262144 are accepted",
        ),
    ],
)
def test_labels_are_bounded(changes, message):
    with pytest.raises(SoftcallError) as refused:
        artifact(**changes)
    assert message in str(refused.value)


def test_as_many_labels_as_there_may_be():
    assert len(artifact(labels=["a", "x" * 1_000]).labels) == 2
    assert len(artifact(labels=[f"{i:04}" + "返" * 200 for i in range(434)]).labels) == 434  # 262,136 bytes
    assert len(artifact(labels=[f"{i}" for i in range(10_000)]).labels) == 10_000


def test_a_template_is_bounded_in_characters_as_java_counts_them():
    assert Template("x" * 19_994 + "{text}").fields == ("text",)
    for source in ("x" * 19_995 + "{text}", "\U0001f680" * 9_998 + "{text}"):
        with pytest.raises(SoftcallError, match=r"the template has 2000\d characters; at most 20000 are"):
            Template(source)


def test_what_is_told_of_a_training_is_bounded():
    artifact(metrics={"curve": list(range(49_000))}).to_bytes()
    with pytest.raises(SoftcallError, match="has more than 50000 brackets, names and values"):
        artifact(metrics={"curve": list(range(50_000))}).to_bytes()
    deep: list = []
    for _ in range(64):
        deep = [deep]
    with pytest.raises(SoftcallError, match="are nested more than 64 deep"):
        artifact(metrics={"deep": deep}).to_bytes()
    with pytest.raises(SoftcallError, match=r"header has \d+ bytes; at most 1048576 are accepted"):
        artifact(training={"notes": "x" * (1 << 20)}).to_bytes()
    with pytest.raises(SoftcallError, match=r"header has \d+ bytes; at most 1048576 are accepted"):
        with_metadata(artifact().to_bytes(), {"more": "x" * (1 << 20)})


def test_a_header_of_many_tokens_is_refused():
    data = safetensors_bytes({"a": np.ones(3, np.float32)}, {f"{i}": "" for i in range(25_000)})
    with pytest.raises(SoftcallError, match="header is not valid JSON: it has more than 50000 brackets"):
        SafetensorsFile(data)
