"""A trunk that replays its steps as CUDA graphs, which saves the time of kernel launches."""

from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutputWithPast

# Rows are padded to one of these lengths; longer ones run without graphs.
LENGTHS = (32, 48, 64, 96, 128, 192, 256, 320, 384, 512)
# Above this number of tokens (rows x padded length) the GPU is busy without graphs.
MAX_TOKENS = 32_768
# A shape runs this many times before it is captured, which costs about ten runs.
RARE = 3


class GraphedTrunk(nn.Module):
    """A trunk for training steps that repeat a few shapes, with the same values and gradients, to rounding.

    A shape is rows x length x tokens of a KV prompt; the length is padded on the right to one of `LENGTHS`
    (attention is causal, so padding changes nothing). No other call may come between the forward and the
    backward pass of a call, because all shapes share their memory.
    """

    def __init__(self, trunk: nn.Module) -> None:
        """`trunk`, a `PrefixedTrunk`, is on CUDA; its weights are not copied, so they may be trained."""
        super().__init__()
        self.trunk = trunk
        self._whole = _LastHidden(trunk)
        self._times: Counter[tuple[int, int, int]] = Counter()
        self._graphs: dict[tuple[int, int, int], nn.Module] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def get_input_embeddings(self) -> nn.Module:
        """Return the trunk's input embedding."""
        return self.trunk.get_input_embeddings()

    def forward(self, inputs_embeds: Tensor, *, use_cache: bool = False) -> BaseModelOutputWithPast:
        """Return the trunk's `last_hidden_state` [rows, length, hidden] for `inputs_embeds` of that shape."""
        return BaseModelOutputWithPast(last_hidden_state=self._last_hidden(inputs_embeds))

    def behind(self, past: Tensor, inputs_embeds: Tensor) -> Tensor:
        """Return what `PrefixedTrunk.behind` does."""
        return self._last_hidden(inputs_embeds, past)

    def _last_hidden(self, inputs_embeds: Tensor, *past: Tensor) -> Tensor:
        rows, length = inputs_embeds.shape[:2]
        run, padded = self._whole, next((each for each in LENGTHS if each >= length), None)
        if padded is not None and rows * padded <= MAX_TOKENS:
            inputs_embeds = functional.pad(inputs_embeds, (0, 0, 0, padded - length))
            shape = rows, padded, past[0].shape[3] if past else 0
            self._times[shape] += 1
            if self._times[shape] > RARE and shape not in self._graphs:
                self._graphs[shape] = self._captured(inputs_embeds, *past)
            run = self._graphs.get(shape, run)
        return run(inputs_embeds, *past)[:, :length]

    def _captured(self, *inputs: Tensor) -> nn.Module:
        samples = tuple(torch.zeros_like(each).requires_grad_(each.requires_grad) for each in inputs)
        # Capturing warms up on another stream, about which autograd would warn.
        torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
        return torch.cuda.make_graphed_callables(
            _LastHidden(self.trunk), samples, allow_unused_input=True, pool=self._pool
        )


class _LastHidden(nn.Module):
    """A trunk as a function of tensors alone, the form that can be captured."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, inputs_embeds: Tensor, past: Tensor | None = None) -> Tensor:
        if past is None:
            return self.trunk(inputs_embeds=inputs_embeds, use_cache=False).last_hidden_state
        return self.trunk.behind(past, inputs_embeds)
