"""Token dropout: the share that is said, never the template's end, the same for a seed and a step."""

import numpy as np

from softcall.training.inputs.token_dropout import TokenDropout

ENDING = [7, 8]
ROWS = [[*range(100 + i, 100 + i + length), *ENDING] for i, length in enumerate((40, 1, 60, 25))]
ALL = np.arange(len(ROWS))


def test_a_share_of_the_text_is_left_out_and_the_rest_stays_in_order():
    dropout = TokenDropout(ROWS, 0.25, seed=13)
    steps = [dropout.ids(ALL, step) for step in range(200)]
    for ids in steps:
        for shortened, whole in zip(ids, ROWS, strict=True):
            assert shortened[-2:] == ENDING
            assert [i for i in whole if i in shortened] == shortened
    kept = sum(len(ids[2]) - 2 for ids in steps) / (200 * 60)
    assert abs(kept - 0.75) < 0.02
    assert all(len(ids[1]) == 3 for ids in steps)  # a text is never empty


def test_what_is_left_out_is_a_function_of_seed_and_step():
    dropout = TokenDropout(ROWS, 0.25, seed=13)
    assert dropout.ids(ALL, 3) == TokenDropout(ROWS, 0.25, seed=13).ids(ALL, 3)
    assert dropout.ids(ALL, 3) != dropout.ids(ALL, 4)
    assert dropout.ids(ALL, 3) != TokenDropout(ROWS, 0.25, seed=14).ids(ALL, 3)


def test_rows_that_are_all_alike_stay_whole():
    assert TokenDropout([[1, 2]] * 3, 0.5, seed=13).ids(np.arange(3), 0) == [[1, 2]] * 3


def test_nothing_is_left_out_unless_asked():
    assert TokenDropout(ROWS, 0.0, seed=13).ids(ALL, 0) == ROWS
