"""Sets of labels as a matrix."""

from collections.abc import Iterable, Sequence

import numpy as np


def label_matrix(labels: Sequence[str], sets: Sequence[Iterable[str]]) -> np.ndarray:
    """Return whether each row's set has each label, bool [rows, labels]; `ValueError` for an unlisted one."""
    index = {label: i for i, label in enumerate(labels)}
    matrix = np.zeros((len(sets), len(labels)), bool)
    for row, names in enumerate(sets):
        for name in names:
            if name not in index:
                raise ValueError(f"label {name!r} is not listed")
            matrix[row, index[name]] = True
    return matrix
