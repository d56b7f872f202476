"""Multitask prompt tuning (Wang et al. 2023): a shared prompt, times a low-rank matrix per task."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from softcall.artifact.arrays import PROMPT
from softcall.core.errors import SoftcallError
from softcall.prompt_formats.tensor_file import Tensors, shown

COLUMNS = "prefix_task_cols"
ROWS = "prefix_task_rows"


def compose(tensors: Tensors, config: Mapping[str, Any], task_id: int | None) -> tuple[np.ndarray, dict]:
    """Return the prompt [tokens, hidden] of a task, as PEFT's forward pass computes it, and the task's id.

    `prompt_embeddings` [tokens, hidden] * (`prefix_task_cols` [tasks, tokens, ranks] @ `prefix_task_rows`
    [tasks, ranks, hidden]). Raises `SoftcallError` without a `task_id` if there are several tasks.
    """
    if set(tensors.names) != {PROMPT, COLUMNS, ROWS}:
        raise SoftcallError(
            f"holds the tensors {shown(tensors.names)}; expected {PROMPT}, {COLUMNS} and {ROWS}"
        )
    shared, columns, rows = (tensors.floats(name).astype(np.float32) for name in (PROMPT, COLUMNS, ROWS))
    if shared.ndim != 2 or columns.ndim != 3 or rows.ndim != 3:
        raise SoftcallError(
            f"{PROMPT} has shape {list(shared.shape)}, {COLUMNS} {list(columns.shape)}, {ROWS}"
            f" {list(rows.shape)}; expected [tokens, hidden], [tasks, tokens, ranks], [tasks, ranks, hidden]"
        )
    tasks, ranks = config.get("num_tasks"), config.get("num_ranks")
    for name, found, expected in (
        (COLUMNS, columns.shape, (tasks, shared.shape[0], ranks)),
        (ROWS, rows.shape, (tasks, ranks, shared.shape[1])),
    ):
        if found != expected:
            raise SoftcallError(f"{name} has shape {list(found)}; its configuration says {list(expected)}")
    task_id = _task(task_id, tasks)
    return shared * (columns[task_id] @ rows[task_id]), {"task_id": task_id}


def _task(task_id: int | None, tasks: int) -> int:
    if task_id is None and tasks == 1:
        return 0
    if task_id is None or not 0 <= task_id < tasks:
        given = "" if task_id is None else f"--task-id is {task_id}; "
        raise SoftcallError(f"{given}it holds the prompts of {tasks} tasks: give --task-id, 0 to {tasks - 1}")
    return task_id
