"""The processes that Accelerate started: each computes some of the rows; losses and gradients are summed."""

from collections.abc import Sequence

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters


def rows_of_process(process: int | None = None) -> slice:
    """Return the rows of a process, by default this one; rows of similar length go to different processes."""
    processes = PartialState()
    return slice(processes.process_index if process is None else process, None, processes.num_processes)


def sum_over_processes(losses: list[Tensor], parameters: Sequence[nn.Parameter]) -> None:
    """Replace losses and gradients by their sums over all processes, in one exchange."""
    if PartialState().num_processes == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:  # a batch had fewer rows than there are processes
            parameter.grad = torch.zeros_like(parameter)
    parts = [*losses, *(parameter.grad for parameter in parameters)]
    vector_to_parameters(reduce(parameters_to_vector(parts), "sum"), parts)
