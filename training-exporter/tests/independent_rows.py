"""What holds for the rows of a batch in every trunk that rounds them: none depends on the others."""

import numpy as np

from softcall.base.bundle import Bundle


def assert_a_rows_answer_does_not_depend_on_the_others(bundle: Bundle, variant: str) -> None:
    """Not even on one whose elements are thousands of times as large."""
    trunk = bundle.trunk(variant, threads=1)
    random = np.random.default_rng(3)
    prompts = random.normal(0, 0.02, (3, 8, bundle.hidden_size)).astype(np.float32)
    prompts[1] *= 5_000
    ids = random.integers(0, bundle.vocab_size, (3, 12))
    last = np.array([19, 15, 11])
    together = trunk.hidden(ids, last, prompts)
    alone = [trunk.hidden(ids[[i]], last[[i]], prompts[[i]])[0] for i in range(3)]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-4 * np.abs(together).max())


def assert_a_row_of_zeros_gives_no_nan(bundle: Bundle, variant: str) -> None:
    """Its scale would be zero."""
    prompt = np.zeros((1, 4, bundle.hidden_size), np.float32)
    no_text = np.zeros((1, 0), np.int64)
    assert np.isfinite(bundle.trunk(variant).hidden(no_text, np.array([3]), prompt)).all()
