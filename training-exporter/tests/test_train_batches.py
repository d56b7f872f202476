"""Length buckets: every row once an epoch, little padding, the same batches for the same seed and step."""

import numpy as np
import pytest

from softcall.training.inputs.batches import LengthBuckets

LENGTHS = np.random.default_rng(1).integers(5, 60, 1001).tolist()


def test_an_epoch_visits_every_row_once():
    buckets = LengthBuckets(LENGTHS, 32, seed=13)
    assert buckets.batches_per_epoch == 32
    for first in (0, 32):
        batches = [buckets.batch(step) for step in range(first, first + 32)]
        assert sorted(len(batch) for batch in batches) == [9] + [32] * 31
        assert sorted(np.concatenate(batches).tolist()) == list(range(1001))


def test_batches_are_a_function_of_seed_and_step_alone():
    undisturbed, resumed = LengthBuckets(LENGTHS, 32, seed=13), LengthBuckets(LENGTHS, 32, seed=13)
    ahead = [undisturbed.batch(step).tolist() for step in range(100)]
    assert [resumed.batch(step).tolist() for step in range(70, 100)] == ahead[70:]
    assert LengthBuckets(LENGTHS, 32, seed=14).batch(0).tolist() != ahead[0]
    assert ahead[0] != ahead[32]  # another epoch, another order


def test_rows_of_a_batch_have_similar_lengths():
    buckets = LengthBuckets(LENGTHS, 32, seed=13)
    padded = sum(len(batch) * max(LENGTHS[i] for i in batch) for batch in map(buckets.batch, range(32)))
    assert padded < 1.1 * sum(LENGTHS)


@pytest.mark.parametrize("rows", [1, 3])
def test_fewer_rows_than_a_batch_are_one_batch(rows):
    buckets = LengthBuckets([4] * rows, 32, seed=13)
    assert sorted(buckets.batch(7).tolist()) == list(range(rows))
