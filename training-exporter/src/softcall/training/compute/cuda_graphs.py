"""A trunk whose steps are replayed as CUDA graphs: a small step costs what it computes, not its launches."""

from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutputWithPast

# What rows are padded to; longer ones run as they are.
LENGTHS = (32, 48, 64, 96, 128, 192, 256, 320, 384, 512)
# Rows x padded length from which on the GPU is busy without graphs.
MAX_TOKENS = 32_768
# Times a shape is run as it is before it is captured, which costs as much as some ten runs.
RARE = 3


class GraphedTrunk(nn.Module):
    """The trunk, for steps of training that repeat a few shapes: same values and gradients, to rounding.

    A shape is rows x length, the length padded on the right to one of `LENGTHS` (attention is causal, so
    pads change nothing). Between the forward and the backward pass of one call there may be no other call:
    all shapes share their memory.
    """

    def __init__(self, trunk: nn.Module) -> None:
        """`trunk` on CUDA; its weights are used where they lie, so they may learn."""
        super().__init__()
        self.trunk = trunk
        self._times: Counter[tuple[int, int]] = Counter()
        self._graphs: dict[tuple[int, int], nn.Module] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def get_input_embeddings(self) -> nn.Module:
        """The trunk's own."""
        return self.trunk.get_input_embeddings()

    def forward(self, inputs_embeds: Tensor, *, use_cache: bool = False) -> BaseModelOutputWithPast:
        """The trunk's `last_hidden_state` [rows, length, hidden] for `inputs_embeds` of the same shape."""
        rows, length = inputs_embeds.shape[:2]
        padded = next((each for each in LENGTHS if each >= length), None)
        if padded is None or rows * padded > MAX_TOKENS:
            return self.trunk(inputs_embeds=inputs_embeds, use_cache=use_cache)
        inputs = functional.pad(inputs_embeds, (0, 0, 0, padded - length))
        shape = rows, padded
        self._times[shape] += 1
        if self._times[shape] > RARE and shape not in self._graphs:
            self._graphs[shape] = self._captured(inputs)
        run = self._graphs.get(shape) or _LastHidden(self.trunk)
        return BaseModelOutputWithPast(last_hidden_state=run(inputs)[:, :length])

    def _captured(self, inputs: Tensor) -> nn.Module:
        sample = torch.zeros_like(inputs).requires_grad_(inputs.requires_grad)
        # Capturing warms up on a stream of its own, of which autograd would warn once.
        torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
        return torch.cuda.make_graphed_callables(
            _LastHidden(self.trunk), (sample,), allow_unused_input=True, pool=self._pool
        )


class _LastHidden(nn.Module):
    """A trunk as a function of one tensor, which is what can be captured."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, inputs_embeds: Tensor) -> Tensor:
        return self.trunk(inputs_embeds=inputs_embeds, use_cache=False).last_hidden_state
