"""Label heads of verbalizers give the language model's own logits."""

import numpy as np
import pytest
import torch
from make_tiny import DEFAULT_FOLDER as TINY
from make_tiny import tiny_base

from softcall.artifact.label_head import default_verbalizer, verbalizer_head
from softcall.base.bundle import Bundle
from softcall.core.errors import SoftcallError


@pytest.fixture(scope="module")
def bundle():
    return Bundle.open(TINY / "base")


def test_logits_are_those_of_the_language_model(bundle):
    torch.set_num_threads(1)
    base = tiny_base()
    single, several = "a", " カード"
    tokens = [base.tokenizer.encode(words, add_special_tokens=False).ids for words in (single, several)]
    assert len(tokens[0]) == 1 < len(tokens[1])
    with torch.no_grad():
        ids = torch.tensor([base.tokenizer.encode("The film was a joy.").ids])
        hidden = base.model.model(ids).last_hidden_state[0, -1]
        logits = base.model(ids).logits[0, -1]
    head = verbalizer_head(bundle.output_embedding, bundle.tokenizer(), [single, several])
    expected = [logits[tokens[0]].item(), logits[tokens[1]].mean().item()]
    np.testing.assert_allclose(head @ hidden.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_one_token_is_exactly_its_row(bundle):
    head = verbalizer_head(bundle.output_embedding, bundle.tokenizer(), ["a", "b"])
    ids = [bundle.tokenizer().encode(word).ids[0] for word in "ab"]
    np.testing.assert_array_equal(head, bundle.output_embedding(ids))


@pytest.mark.parametrize(("label", "words"), [("card_arrival", " card arrival"), ("返金", " 返金")])
def test_a_label_is_read_as_written(label, words):
    assert default_verbalizer(label) == words


def test_words_without_tokens_are_refused(bundle):
    with pytest.raises(SoftcallError, match="the verbalizer '' has no tokens"):
        verbalizer_head(bundle.output_embedding, bundle.tokenizer(), ["a", ""])


def test_two_labels_with_the_same_words_are_refused(bundle):
    with pytest.raises(SoftcallError, match="'card arrival' and 'card arrival' are the same tokens"):
        verbalizer_head(bundle.output_embedding, bundle.tokenizer(), ["card arrival", "card arrival"])
