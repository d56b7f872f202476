"""The classifier's label logits are PEFT's, padded or not, for a prompt alone and with a trained head."""

import numpy as np
import pytest
import torch
from make_tiny import HIDDEN, TEXTS, tiny_base
from peft import PeftModel, PromptTuningConfig

from softcall.artifact.artifact import ClassificationArtifact
from softcall.artifact.label_head import verbalizer_head
from softcall.artifact.template import Template
from softcall.core.errors import SoftcallError
from softcall.evaluation import classifier as module
from softcall.evaluation.classifier import PromptedClassifier, pad_right, torch_device
from softcall.evaluation.prompt import SoftPrompt

BASE = tiny_base()
TEMPLATE = Template("{text}\nIntent:")
ROWS = [TEMPLATE.encode(BASE.tokenizer, [text]) for text in TEXTS]
TRUNK = BASE.model.base_model
KV = BASE.identity.kv


def artifact(head, bias):
    prompt = np.random.default_rng(3).standard_normal((8, HIDDEN))
    labels = tuple(f"label {i}" for i in range(len(head)))
    return ClassificationArtifact(
        prompt=prompt,
        label_head=head,
        label_bias=bias,
        template=TEMPLATE,
        labels=labels,
        base_name=BASE.name,
        base_fingerprint=BASE.fingerprint,
    )


def peft_outputs(artifact, folder):
    """PEFT's own answer for each row by itself: (vocabulary logits, hidden) at the last token."""
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=artifact.tokens, token_dim=HIDDEN)
    config.save_pretrained(folder)
    (folder / "adapter_model.safetensors").write_bytes(artifact.to_bytes())
    peft = PeftModel.from_pretrained(tiny_base().model, folder)
    outputs = []
    for ids in ROWS:
        output = peft(input_ids=torch.tensor([ids]), output_hidden_states=True)
        outputs.append((output.logits[0, -1].detach(), output.hidden_states[-1][0, -1].detach()))
    return [torch.stack(column).numpy() for column in zip(*outputs, strict=True)]


def test_a_verbalizer_of_one_token_gets_that_token_s_logit(tmp_path):
    words = [" the", " was", " and"]
    ids = [BASE.tokenizer.encode(word, add_special_tokens=False).ids for word in words]
    assert all(len(tokens) == 1 for tokens in ids)
    embedding = BASE.model.get_output_embeddings().weight.numpy()
    head = verbalizer_head(lambda rows: embedding[list(rows)], BASE.tokenizer, words)
    task = artifact(head, np.zeros(3))
    vocabulary, _ = peft_outputs(task, tmp_path)
    scored = PromptedClassifier.of(task, KV).score(TRUNK, ROWS)
    np.testing.assert_allclose(scored, vocabulary[:, [tokens[0] for tokens in ids]], atol=2e-5)


def test_a_trained_head_reads_peft_s_last_hidden_row(tmp_path):
    random = np.random.default_rng(4)
    task = artifact(random.standard_normal((5, HIDDEN)), random.standard_normal(5))
    _, hidden = peft_outputs(task, tmp_path)
    scored = PromptedClassifier.of(task, KV).score(TRUNK, ROWS)
    np.testing.assert_allclose(scored, hidden @ task.label_head.T + task.label_bias, atol=1e-4)


def test_rows_in_one_padded_batch_equal_the_rows_alone():
    task = PromptedClassifier.of(
        artifact(np.random.default_rng(5).standard_normal((4, HIDDEN)), np.zeros(4)), KV
    )
    with torch.no_grad():
        batch = task(TRUNK, *pad_right(ROWS, torch.device("cpu")))
        for ids, logits in zip(ROWS, batch, strict=True):
            alone = task(TRUNK, *pad_right([ids], torch.device("cpu")))[0]
            torch.testing.assert_close(logits, alone, atol=2e-5, rtol=0)
            assert alone.argmax() == logits.argmax()


@pytest.mark.parametrize("tokens", [1, 64, 100_000])
def test_scoring_keeps_the_order_of_rows_whatever_the_batches_are(monkeypatch, tokens):
    task = PromptedClassifier.of(
        artifact(np.random.default_rng(5).standard_normal((4, HIDDEN)), np.zeros(4)), KV
    )
    alone = np.concatenate([task.score(TRUNK, [ids]) for ids in ROWS])
    monkeypatch.setitem(module.SCORING_TOKENS, "cpu", tokens)
    np.testing.assert_allclose(task.score(TRUNK, ROWS), alone, atol=2e-5)


@pytest.mark.parametrize("train_head", [False, True])
def test_gradients_reach_the_prompt_and_a_trained_head_and_nothing_else(train_head):
    head = np.random.default_rng(5).standard_normal((4, HIDDEN))
    task = PromptedClassifier(SoftPrompt(np.ones((8, HIDDEN))), head, np.zeros(4), train_head=train_head)
    logits = task(TRUNK, *pad_right(ROWS, torch.device("cpu")))
    torch.nn.functional.cross_entropy(logits, torch.zeros(len(ROWS), dtype=torch.long)).backward()
    assert task.prompt.learnt.grad.abs().min() > 0
    assert (task.label_head.grad is not None) == (task.label_bias.grad is not None) == train_head
    assert all(parameter.grad is None for parameter in BASE.model.parameters())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused():
    assert torch_device("auto") == torch.device("cpu")
    with pytest.raises(SoftcallError, match="--device cuda: PyTorch sees no CUDA device"):
        torch_device("cuda")
