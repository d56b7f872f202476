"""The task artifact: what it holds survives, and what it must not hold is refused by name."""

import dataclasses
import json
import struct

import numpy as np
import pytest
import safetensors.torch
from make_tiny import DEFAULT_FOLDER as TINY

from softcall.artifact.artifact import Artifact, ClassificationArtifact
from softcall.artifact.bounds import MAX_PROMPT_TOKENS
from softcall.artifact.metadata import Kind, PromptType
from softcall.artifact.safetensors_file import SafetensorsFile, safetensors_bytes
from softcall.artifact.template import Template
from softcall.base.bundle import Bundle
from softcall.base.identity import KvShape
from softcall.core.errors import SoftcallError

REFUSED = {
    "duplicate-labels": "label 'positive' appears twice",
    "generation-kind": "kind is 'generation', which schema 1 does not have",
    "head-mismatch": "label_head has shape [3, 64]; expected [2, 64]",
    "header-not-json": "the safetensors header is not valid JSON",
    "huge-header": "the safetensors header claims 1152921504606846976 bytes",
    "multitask": "peft_type MULTITASK_PROMPT_TUNING; expected PROMPT_TUNING",
    "nan": "prompt_embeddings holds nan at element 197; expected finite values",
    "no-metadata": "`softcall push` makes one of a PEFT folder",
    "other-base": "the prompt was trained for base another with fingerprint 0123456789abcdef",
    "overlapping-offsets": "begins at byte 4 of the data; expected 0",
    "schema-3": "schema is 3; this version reads schema 1 and 2",
    "unknown-prompt": "prompt is 'deep', which is not served yet; expected 'soft' or 'kv'",
    "too-many-tokens": "prompt_embeddings has 2049 tokens; at most 2048 are accepted",
    "no-positions": "has 1024 tokens, which leave none of the 1024 positions of base tiny-llama for a text",
    "kv-heads": "prompt_embeddings of a KV prompt has 256 numbers a token, and the base takes 128: a key"
    " and a value of 2 layers, 2 heads each, of 16 numbers; in 2 layers it has 4 heads",
    "kv-infinite": "prompt_embeddings holds inf at element 389; expected finite values",
    "kv-soft": "prompt_embeddings of a KV prompt has 64 numbers a token, and the base takes 128",
    "no-thresholds": "0 thresholds for 4 labels; expected one for each",
    "truncated": "it is truncated",
    "wrong-size": "the prompt has hidden size 32; base tiny-llama has 64",
}


def artifact(**changes):
    fields = {
        "prompt": np.linspace(-1, 1, 12).reshape(3, 4),
        "label_head": np.ones((2, 4)),
        "label_bias": [0.5, -0.5],
        "template": Template("{text}\nIntent:"),
        "labels": ("spam", "返金"),
        "base_name": "tiny",
        "base_fingerprint": "ab" * 32,
    }
    return ClassificationArtifact(**fields | changes)


def with_metadata(**changes):
    """A good file whose `softcall` metadata differs in the given fields (None: without the field)."""
    data = artifact().to_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    record = json.loads(header["__metadata__"]["softcall"]) | changes
    record = {name: value for name, value in record.items() if value is not None}
    header["__metadata__"]["softcall"] = json.dumps(record)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def test_everything_survives_the_file():
    written = artifact(
        temperature=1.5,
        abstain_threshold=0.25,
        prefixes={"fp32": np.full((2, 2, 1, 3, 2), 0.5)},
        prefix_layouts={"fp32": "cd" * 32},
        metrics={"test_accuracy": 0.9},
        training={"seed": 13},
    )
    read = Artifact.from_bytes(written.to_bytes())
    for field in dataclasses.fields(written):
        np.testing.assert_equal(getattr(read, field.name), getattr(written, field.name))
    assert read.to_bytes() == written.to_bytes()


def test_peft_finds_its_prompt_in_the_file():
    tensors = safetensors.torch.load(artifact().to_bytes())
    np.testing.assert_array_equal(tensors["prompt_embeddings"].numpy(), artifact().prompt)


@pytest.mark.parametrize(
    ("task", "tokens", "labels"),
    [("sentiment", 8, 2), ("acme/intent", 8, 5), ("long", 16, 3), ("pair", 8, 2)],
)
def test_artifacts_of_every_precision_are_read_as_float32(task, tokens, labels):
    bundle = Bundle.open(TINY / "base")
    read = Artifact.from_bytes((TINY / "tasks" / task / "adapter_model.safetensors").read_bytes())
    read.require_base(bundle.identity)
    assert (read.prompt.shape, read.prompt.dtype) == ((tokens, 64), np.float32)
    assert len(read.labels) == labels


@pytest.mark.parametrize("name", sorted(path.stem for path in (TINY / "broken").iterdir()))
def test_broken_artifacts_are_refused(name):
    bundle = Bundle.open(TINY / "base")
    with pytest.raises(SoftcallError) as refused:
        read = Artifact.from_bytes((TINY / "broken" / f"{name}.safetensors").read_bytes(), "the file")
        read.require_base(bundle.identity)
    assert REFUSED[name] in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": np.zeros((0, 4))}, "prompt_embeddings has shape [0, 4]; expected [tokens, hidden]"),
        ({"prompt": np.zeros(4)}, "prompt_embeddings has shape [4]; expected [tokens, hidden]"),
        ({"prompt": np.zeros((MAX_PROMPT_TOKENS + 1, 4))}, "has 2049 tokens; at most 2048 are accepted"),
        ({"prompt": np.full((3, 4), 1e300)}, "prompt_embeddings holds inf at element 0"),
        ({"label_head": np.full((2, 4), np.inf)}, "label_head holds inf at element 0"),
        ({"label_bias": [0, np.nan]}, "label_bias holds nan at element 1"),
        ({"label_head": np.ones((2, 5))}, "label_head has shape [2, 5]; expected [2, 4]"),
        ({"label_bias": np.zeros(3)}, "label_bias has shape [3]; expected [2]"),
        ({"labels": ("one",)}, "1 labels; expected 2 to 10000"),
        ({"labels": ("a", "")}, "label '' is empty; expected a name"),
        ({"labels": ("a", "a")}, "label 'a' appears twice; expected distinct names"),
        ({"base_name": ""}, "the base's name is empty"),
        ({"base_fingerprint": "AB" * 32}, "expected 64 hex digits"),
        ({"temperature": 0}, "temperature is 0; expected a number greater than 0"),
        ({"temperature": float("inf")}, "temperature is inf; expected a number greater than 0"),
        ({"abstain_threshold": 1.5}, "abstain_threshold is 1.5; expected a probability in (0, 1]"),
        ({"thresholds": (0.5, 0.5)}, "thresholds go with the kind 'multi_label' alone"),
        (
            {"kind": Kind.MULTI_LABEL, "thresholds": (0.5,)},
            "1 thresholds for 2 labels; expected one for each",
        ),
        (
            {"kind": Kind.MULTI_LABEL, "thresholds": (0.5, 0)},
            "the threshold of '返金' is 0; expected a probability",
        ),
        (
            {"kind": Kind.MULTI_LABEL, "thresholds": (0.5, 0.5), "abstain_threshold": 0.5},
            "abstain_threshold does not go with 'multi_label', whose labels have thresholds",
        ),
        ({"prefixes": {"fp32": np.zeros((2, 2, 1, 3, 2))}}, "but prefix_layouts of []"),
        (
            {"prefixes": {"fp32": np.zeros((2, 2, 1, 4, 2))}, "prefix_layouts": {"fp32": "cd" * 32}},
            "prefix.fp32 has shape [2, 2, 1, 4, 2]; expected [layers, 2, kv_heads, 3, head_dim]",
        ),
        (
            {"prefixes": {"fp32": np.zeros((2, 2, 1, 3, 2))}, "prefix_layouts": {"fp32": "cd"}},
            "prefix_layouts of fp32 is 'cd'; expected 64 hex digits",
        ),
    ],
)
def test_fields_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(SoftcallError) as refused:
        artifact(**changes)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "1"}, "schema is '1'; this version reads schema 1 and 2"),
        ({"schema": 1, "kind": "multi_label"}, "kind is 'multi_label', which schema 1 does not have"),
        ({"prompt": None}, "prompt is None, which is not served yet; expected 'soft' or 'kv'"),
        ({"thresholds": 0.5}, "thresholds is 0.5; expected a list of probabilities"),
        ({"thresholds": ["0.5"]}, "thresholds[0] is '0.5'; expected a number"),
        ({"kind": None}, "kind is None, which is not served yet"),
        ({"base": None}, "base is None; expected an object"),
        ({"base": {"name": "tiny"}}, "fingerprint is None; expected a string"),
        ({"template": None}, "template is None; expected a string"),
        ({"template": "no field"}, "template 'no field' has no field"),
        ({"labels": "spam"}, "labels is not a list of strings"),
        ({"labels": [1, 2]}, "labels is not a list of strings"),
        ({"temperature": True}, "temperature is True; expected a number"),
        ({"temperature": 10**400}, "temperature is too large"),
        ({"abstain_threshold": "0.5"}, "abstain_threshold is '0.5'; expected a number"),
        ({"metrics": []}, "metrics is []; expected an object"),
        ({"metrics": {"\ud83d": 1}}, "metadata holds half of a surrogate pair"),
        ({"labels": ["a", "\ude80\ud83d"]}, "metadata holds half of a surrogate pair"),
        ({"template": "\ud83d{text}"}, "metadata holds half of a surrogate pair"),
    ],
)
def test_metadata_of_other_types_are_refused(changes, message):
    with pytest.raises(SoftcallError) as refused:
        Artifact.from_bytes(with_metadata(**changes), "task spam")
    assert str(refused.value).startswith("task spam: ")
    assert message in str(refused.value)


def test_unknown_metadata_is_ignored_and_missing_scores_have_defaults():
    read = Artifact.from_bytes(with_metadata(temperature=None, metrics=None, from_the_future=[1]))
    assert (read.temperature, read.abstain_threshold, read.metrics) == (1.0, None, {})


def test_a_ready_prefix_is_stored_in_16_bits():
    """As the server has it, which takes the bytes as they are."""
    made = artifact(prefixes={"fp32": np.zeros((2, 2, 1, 3, 2))}, prefix_layouts={"fp32": "cd" * 32})
    tensors = {name: SafetensorsFile(made.to_bytes()).floats(name) for name in ("label_head", "label_bias")}
    tensors |= {"prompt_embeddings": made.prompt, "prefix.fp32": made.prefixes["fp32"].astype(np.float32)}
    metadata = {"softcall": json.dumps(made.metadata)}
    with pytest.raises(SoftcallError, match=r"tensor prefix.fp32 has type float32; expected F16"):
        Artifact.from_bytes(safetensors_bytes(tensors, metadata))


def test_metrics_must_be_json():
    with pytest.raises(SoftcallError, match="labels, metrics and training must be JSON"):
        artifact(metrics={"accuracy": float("nan")}).to_bytes()


def test_an_artifact_does_not_change():
    prompt = np.zeros((3, 4), np.float32)
    made = artifact(prompt=prompt)
    prompt += 1
    assert not made.prompt.any()
    with pytest.raises(ValueError, match="read-only"):
        made.prompt[0, 0] = 1


def test_a_kv_prompt_is_kept_in_the_type_that_it_has():
    for dtype, kept in ((np.float16, np.float16), (np.float32, np.float32), (np.float64, np.float32)):
        made = artifact(prompt=np.full((3, 8), 0.1, dtype), prompt_type=PromptType.KV)
        read = Artifact.from_bytes(made.to_bytes())
        assert (read.prompt.dtype, read.prompt_type, read.tokens, read.hidden_size) == (
            kept,
            PromptType.KV,
            3,
            4,
        )
        np.testing.assert_array_equal(read.prompt, made.prompt)


def test_the_prefix_of_a_kv_prompt_is_what_peft_puts_into_the_cache():
    bundle = Bundle.open(TINY / "base")
    read = Artifact.from_bytes((TINY / "tasks/kv/adapter_model.safetensors").read_bytes())
    rows = json.loads((TINY / "golden.json").read_text("utf-8"))["tasks"]["kv"]
    prefix = read.prefix(bundle)
    np.testing.assert_array_equal(bundle.identity.kv.prompt(prefix), read.prompt)
    trunk = bundle.trunk(threads=1)
    for row in rows:
        last = np.array([len(row["ids"]) - 1])
        (hidden,) = trunk.hidden(np.array([row["ids"]]), last, prefix=prefix)
        np.testing.assert_allclose(read.label_head @ hidden + read.label_bias, row["logits"], atol=1e-4)


def test_a_kv_prompt_needs_no_prefix():
    read = Artifact.from_bytes((TINY / "tasks/kv/adapter_model.safetensors").read_bytes())
    with pytest.raises(SoftcallError, match="so it needs no prefix"):
        read.with_prefixes(Bundle.open(TINY / "base"), ["fp32"])


@pytest.mark.parametrize(("width", "reason"), [(576, "in 3 layers it has 6 heads"), (320, "it has 5 layers")])
def test_the_likely_reason_of_another_width_is_named(width, reason):
    with pytest.raises(SoftcallError, match=reason):
        KvShape(3, 2, 16).require_width(width, "it")


def test_labels_of_a_multi_label_task_keep_their_thresholds():
    made = artifact(kind=Kind.MULTI_LABEL, thresholds=(0.25, 1))
    read = Artifact.from_bytes(made.to_bytes())
    assert (read.kind, read.thresholds, read.metadata["thresholds"]) == (
        Kind.MULTI_LABEL,
        (0.25, 1.0),
        [0.25, 1],
    )
