"""Every method of PEFT that learns a prompt for a causal model: served logits are PEFT's, there and back."""

import copy
import json

import numpy as np
import pytest
import torch
from peft import (
    CartridgeConfig,
    CPTConfig,
    MultitaskPromptTuningConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
)
from random_models import random_base
from safetensors.torch import save_file
from tokenizers import processors
from transformers import AutoModelForSequenceClassification

from softcall.artifact.artifact import Artifact
from softcall.artifact.metadata import Kind, PromptType
from softcall.artifact.task_description import TaskDescription
from softcall.core.errors import SoftcallError
from softcall.export.base_export import export_base
from softcall.prompt_formats import read_prompt
from softcall.prompt_formats.peft_output import write_task

TOKENS = 5
LABELS = ("a", "b", "c")
TEXTS = ("The film was a joy.", "cold food", "カードが", "a")
TOLERANCE = {"rtol": 1e-4, "atol": 1e-3}
CPT = {"cpt_token_ids": [5, 6, 7, 8, 9], "cpt_mask": [1] * 5, "cpt_tokens_type_mask": [1, 2, 3, 4, 6]}

METHODS = {
    "prompt tuning": (PromptTuningConfig, {}),
    "multitask": (MultitaskPromptTuningConfig, {"num_tasks": 1, "num_ranks": 2}),
    "p-tuning, MLP": (PromptEncoderConfig, {"encoder_hidden_size": 12}),
    "p-tuning, LSTM": (
        PromptEncoderConfig,
        {"encoder_hidden_size": 12, "encoder_reparameterization_type": "LSTM", "encoder_num_layers": 1},
    ),
    "CPT": (CPTConfig, CPT),
    "prefix tuning": (PrefixTuningConfig, {}),
    "prefix tuning, projection": (PrefixTuningConfig, {"prefix_projection": True, "encoder_hidden_size": 12}),
    "cartridge": (CartridgeConfig, {"num_frozen_tokens": 2}),
    "cartridge, nothing frozen": (CartridgeConfig, {"num_frozen_tokens": 0}),
}
KV = {name for name in METHODS if name.startswith(("prefix", "cartridge"))}
BASES = ("llama", "llama, one key per head", "llama, head size of its own", "mistral", "qwen2", "qwen3")


@pytest.fixture(scope="module", params=BASES)
def exported(request, tmp_path_factory):
    """A random base of one architecture, and its bundle."""
    base = random_base(request.param)
    return base, export_base(base, tmp_path_factory.mktemp("bundles") / "base", variants=["fp32"])[0]


def tuned(model, name, task_type):
    """PEFT's model with values of its prompt (and classifier) that matter, as after a training."""
    kind, options = METHODS[name]
    torch.manual_seed(sum(map(ord, name)))
    model = get_peft_model(model, kind(task_type=task_type, num_virtual_tokens=TOKENS, **options)).eval()
    for parameter in model.prompt_encoder.parameters():
        parameter.data.normal_(0, 0.5)
    return model


def classifier_of(base):
    """The base as a sequence classifier, as a user of PEFT loads it."""
    config = copy.deepcopy(base.model.config)
    config.num_labels = len(LABELS)
    model = AutoModelForSequenceClassification.from_config(config)
    model.base_model.load_state_dict(base.model.base_model.state_dict())
    model.score.weight.data.normal_(0, 0.2)
    model.config.pad_token_id = 0
    return model.eval()


def asked(model, ids, **more):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), **more).logits[0].numpy()


def served(artifact, bundle, texts=TEXTS):
    trunk, tokenizer, prefix = bundle.trunk(threads=1), bundle.tokenizer(), artifact.prefix(bundle, threads=1)
    for text in texts:
        ids = artifact.template.encode(tokenizer, [text])
        (hidden,) = trunk.hidden(np.array([ids]), np.array([len(ids) - 1]), prefix=prefix)
        yield ids, artifact.label_head @ hidden + artifact.label_bias


def described(**more):
    return TaskDescription.of_record({"template": "{text} =", "labels": list(LABELS), **more}, "flags")


@pytest.mark.parametrize("name", METHODS)
def test_logits_of_a_language_model_are_pefts(exported, name, tmp_path):
    base, bundle = exported
    model = tuned(base.model, name, "CAUSAL_LM")
    model.save_pretrained(tmp_path / "saved")
    prompt = read_prompt(tmp_path / "saved")
    assert prompt.prompt_type == (PromptType.KV if name in KV else PromptType.SOFT)
    artifact = Artifact.from_bytes(prompt.fold(bundle, described()).to_bytes())
    words = [bundle.tokenizer().encode(f" {label}", add_special_tokens=False).ids for label in LABELS]
    more = {"task_ids": torch.tensor([0])} if name == "multitask" else {}
    for ids, logits in served(artifact, bundle):
        vocabulary = asked(model, ids, **more)[-1]
        np.testing.assert_allclose(logits, [vocabulary[word].mean() for word in words], **TOLERANCE)

    write_task(tmp_path / "again", artifact)
    loaded = PeftModel.from_pretrained(base.model, tmp_path / "again").eval()
    for text in TEXTS:
        ids = artifact.template.encode(bundle.tokenizer(), [text])
        np.testing.assert_allclose(asked(loaded, ids), asked(model, ids, **more), **TOLERANCE)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("CPT", "multitask")])
def test_logits_of_a_sequence_classifier_are_pefts(exported, name, tmp_path):
    """One row at a time: PEFT reads the last column of a batch, padding included."""
    base, bundle = exported
    model = tuned(classifier_of(base), name, "SEQ_CLS")
    model.base_model.score.modules_to_save["default"].weight.data.normal_(0, 0.2)
    model.save_pretrained(tmp_path / "saved")
    prompt = read_prompt(tmp_path / "saved")
    artifact = Artifact.from_bytes(prompt.fold(bundle, described(template="{text}")).to_bytes())
    for ids, logits in served(artifact, bundle):
        np.testing.assert_allclose(logits, asked(model, ids), **TOLERANCE)

    write_task(tmp_path / "again", artifact)
    loaded = PeftModel.from_pretrained(classifier_of(base), tmp_path / "again").eval()
    for ids, logits in served(artifact, bundle):
        np.testing.assert_allclose(asked(loaded, ids), logits, **TOLERANCE)
    again = read_prompt(tmp_path / "again").fold(bundle, described(template="{text}"))
    np.testing.assert_array_equal(again.label_head, artifact.label_head)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    base = random_base("llama")
    return base, export_base(base, tmp_path_factory.mktemp("llama") / "base", variants=["fp32"])[0]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "multitask"])
def test_a_training_runs_encoder_gives_what_peft_saves(llama, name, tmp_path):
    model = tuned(llama[0].model, name, "CAUSAL_LM")
    model.save_pretrained(tmp_path)
    expected = read_prompt(tmp_path).vectors
    if name == "CPT":
        model.prompt_encoder["default"].delta_embedding.weight.data.normal_(0, 0.5)  # beyond its bounds
        expected = model.prompt_encoder["default"](torch.arange(TOKENS)).detach().numpy()
        model.prompt_encoder["default"].delta_embedding.weight.data *= 3  # in the same direction
    for state in (model.prompt_encoder.state_dict(), model.prompt_encoder["default"].state_dict()):
        save_file(dict(state), tmp_path / "adapter_model.safetensors")
        np.testing.assert_allclose(read_prompt(tmp_path).vectors, expected, rtol=1e-4, atol=1e-5)


def saved_classifier(base, tmp_path, **config):
    model = classifier_of(base)
    tuned(model, "prefix tuning", "SEQ_CLS").save_pretrained(tmp_path)
    if config:
        (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


NAMES = {"0": "card_arrival", "1": "refund", "2": "other"}


def test_the_models_configuration_names_labels_and_kind(llama, tmp_path):
    head = read_prompt(saved_classifier(llama[0], tmp_path, id2label=NAMES)).head
    assert (head.labels, head.kind) == (tuple(NAMES.values()), Kind.CLASSIFICATION)
    assert head.described == {
        "template": "{text}",
        "kind": "classification",
        "labels": ["card_arrival", "refund", "other"],
    }
    (tmp_path / "config.json").write_text(json.dumps({"problem_type": "multi_label_classification"}))
    head = read_prompt(tmp_path).head
    assert (head.labels, head.kind) == (None, Kind.MULTI_LABEL)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"problem_type": "regression"},
            "problem_type is 'regression', which is not served; expected single_",
        ),
        ({"id2label": {"0": "a", "2": "b", "1": 7}}, "expected names of 0, 1, 2"),
        ({"id2label": {"0": "a", "1": "b"}}, "its label head has 3 rows; config.json names 2 labels"),
        ({"id2label": {"1": "a", "2": "b", "3": "c"}}, "expected names of 0, 1, 2"),
    ],
)
def test_a_configuration_that_does_not_fit_the_classifier_is_refused(llama, tmp_path, config, message):
    saved_classifier(llama[0], tmp_path, **config)
    with pytest.raises(SoftcallError) as refused:
        read_prompt(tmp_path)
    assert message in str(refused.value)


def test_a_classifier_has_no_verbalizers(llama, tmp_path):
    prompt = read_prompt(saved_classifier(llama[0], tmp_path))
    with pytest.raises(SoftcallError, match="so its labels have no verbalizers"):
        prompt.fold(llama[1], described(verbalizers={"a": " one"}))
    with pytest.raises(SoftcallError, match="its label head has 3 rows, for 2 labels"):
        prompt.fold(llama[1], described(labels=["a", "b"]))


def test_special_tokens_of_the_adapters_tokenizer_become_part_of_the_template(llama, tmp_path):
    base, bundle = llama
    saved_classifier(base, tmp_path)
    tokenizer = bundle.tokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A <|im_end|>", special_tokens=[("<|im_start|>", 1), ("<|im_end|>", 2)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    artifact = read_prompt(tmp_path).fold(bundle, described(template="{text}"))
    assert artifact.template.source == "<|im_start|>{text}<|im_end|>"
    trained_on = tokenizer.encode(TEXTS[0]).ids
    assert artifact.template.encode(bundle.tokenizer(), [TEXTS[0]]) == trained_on

    own = read_prompt(tmp_path).fold(bundle, described(template="<|im_start|>{text}<|im_end|>"))
    assert own.template.source == "<|im_start|>{text}<|im_end|>"

    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", 7)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(SoftcallError, match="the base's tokenizer reads that as"):
        read_prompt(tmp_path).fold(bundle, described(template="{text}"))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"embedding.weight": (5, 8), "transform.0.weight": (6, 8)}, "expected prompt_embeddings alone, or"),
        (
            {
                "embedding.weight": (5, 8),
                "transform.0.weight": (6, 9),
                "transform.0.bias": (6,),
                "transform.2.weight": (32, 6),
                "transform.2.bias": (32,),
            },
            "its projection's tensors do not fit each other: embedding.weight [5, 8]",
        ),
        (
            {
                "embedding.weight": (5, 8),
                "transform.0.weight": (6, 8),
                "transform.0.bias": (6,),
                "transform.1.weight": (6,),
                "transform.2.weight": (32, 6),
                "transform.2.bias": (32,),
            },
            "expected prompt_embeddings alone, or a prompt encoder's",
        ),
        ({"frozen_embedding": (2, 8), "trainable_embedding": (3, 9)}, "expected one width"),
    ],
)
def test_an_encoder_that_is_not_pefts_is_refused(llama, tmp_path, tensors, message):
    tuned(llama[0].model, "prefix tuning", "CAUSAL_LM").save_pretrained(tmp_path)
    save_file(
        {name: torch.ones(shape) for name, shape in tensors.items()}, tmp_path / "adapter_model.safetensors"
    )
    with pytest.raises(SoftcallError) as refused:
        read_prompt(tmp_path)
    assert message in str(refused.value)


def test_an_adapter_without_grouped_query_attention_is_refused(llama, tmp_path):
    tuned(random_base("llama, one key per head").model, "prefix tuning", "CAUSAL_LM").save_pretrained(
        tmp_path
    )
    with pytest.raises(SoftcallError, match=r"in 2 layers it has 6 heads"):
        read_prompt(tmp_path).fold(llama[1], described())


@pytest.mark.parametrize("width", ["soft", "kv"])
def test_a_folder_of_tensors_with_a_label_head_is_read(llama, tmp_path, width):
    base = llama[1].identity
    numbers = base.hidden_size if width == "soft" else base.kv.width
    tensors = {
        "prompt_embeddings": torch.randn(TOKENS, numbers),
        "label_head": torch.randn(len(LABELS), base.hidden_size),
        "label_bias": torch.randn(len(LABELS)),
    }
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    artifact = read_prompt(tmp_path).fold(llama[1], described())
    assert artifact.prompt_type == width
    np.testing.assert_array_equal(artifact.label_bias, tensors["label_bias"])
    del tensors["label_bias"]
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    assert not read_prompt(tmp_path).fold(llama[1], described()).label_bias.any()
