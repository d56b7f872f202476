"""Where a prompt starts."""

import numpy as np
import pytest
from make_tiny import tiny_base

from softcall.core.errors import SoftcallError
from softcall.training.settings.prompt_init import default_init_text, initial_prompt

BASE = tiny_base()
EMBEDDING = BASE.model.get_input_embeddings().weight.numpy()
WORDS = [" card arrival", " refund"]


def start(init, tokens=8, text="Sentiment of the text", seed=13):
    return initial_prompt(
        init,
        tokens,
        lambda ids: EMBEDDING[list(ids)],
        BASE.tokenizer,
        init_text=text,
        verbalizers=WORDS,
        seed=seed,
    )


def ids_of(text):
    return BASE.tokenizer.encode(text, add_special_tokens=False).ids


def test_text_is_the_one_that_peft_starts_from(tiny_folder):
    from peft import PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    for text in ("Sentiment", "Sentiment of the text, which is good or bad"):  # repeated, and cut
        config = PromptTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=8,
            prompt_tuning_init="TEXT",
            prompt_tuning_init_text=text,
            tokenizer_name_or_path=str(tiny_folder),
        )
        peft = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_folder), config)
        expected = peft.get_prompt_embedding_to_save("default").detach().numpy()
        assert np.array_equal(start("text", text=text), expected)


def test_labels_come_first_and_the_vocabulary_fills_the_rest():
    prompt = start("labels")
    for row, words in zip(prompt, WORDS, strict=False):
        np.testing.assert_allclose(row, EMBEDDING[ids_of(words)].mean(axis=0), rtol=1e-6)
    assert all((row == EMBEDDING).all(axis=1).any() for row in prompt[2:])
    assert len(start("labels", tokens=1)) == 1


def test_vocabulary_rows_are_distinct_and_drawn_by_seed():
    prompt = start("vocab", tokens=32)
    chosen = [int(np.flatnonzero((row == EMBEDDING).all(axis=1))[0]) for row in prompt]
    assert len(set(chosen)) == 32
    assert not set(chosen) & set(BASE.tokenizer.get_added_tokens_decoder())
    assert np.array_equal(prompt, start("vocab", tokens=32))
    assert not np.array_equal(prompt, start("vocab", tokens=32, seed=14))


def test_noise_is_as_wide_as_the_embedding():
    prompt = start("random", tokens=128)
    assert prompt.dtype == np.float32 and prompt.shape == (128, EMBEDDING.shape[1])
    assert prompt.std() == pytest.approx(EMBEDDING.std(), rel=0.05)


def test_texts_without_tokens_are_refused():
    with pytest.raises(SoftcallError, match="the init text '' has no tokens"):
        start("text", text="")


def test_the_default_text_lists_the_labels():
    assert default_init_text(WORDS) == "Classify the text. The label is one of: card arrival, refund."
