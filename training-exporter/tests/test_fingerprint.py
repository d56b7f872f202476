"""The fingerprint of weights."""

import hashlib

import numpy as np

from softcall.base.fingerprint import fingerprint, unscaled_kv_layout

B, A = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), np.array([0.5], np.float32)


def test_it_is_the_sha256_of_little_endian_float32_in_the_order_of_sorted_names():
    expected = hashlib.sha256(A.astype("<f4").tobytes() + B.astype("<f4").tobytes()).hexdigest()
    assert fingerprint({"b.weight": B, "a.weight": A}) == expected


def test_neither_the_order_nor_the_layout_nor_the_precision_of_arrays_matters():
    expected = fingerprint({"a": A, "b": B})
    assert fingerprint({"b": np.asfortranarray(B), "a": A.astype(np.float16)}) == expected


def test_a_changed_weight_changes_it():
    assert fingerprint({"a": A, "b": B + np.float32(1e-6)}) != fingerprint({"a": A, "b": B})


def test_the_kv_layout_of_an_unscaled_variant_follows_from_it():
    assert unscaled_kv_layout("f" * 64) == hashlib.sha256(b"f" * 64 + b"/unscaled").hexdigest()
