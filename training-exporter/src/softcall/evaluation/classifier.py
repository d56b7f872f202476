"""The prompted classifier in PyTorch, which training differentiates and `softcall eval` scores."""

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from softcall.artifact.artifact import Artifact
from softcall.core.errors import SoftcallError

# Tokens (rows x longest row) of a scoring batch: they fill the device without exhausting its memory.
SCORING_TOKENS = {"cpu": 2_048, "cuda": 32_768}


class PromptedClassifier(nn.Module):
    """A prompt and a label head, which are the only parameters: each call takes the trunk as an argument.

    Attributes: `prompt` [tokens, hidden], `label_head` [labels, hidden], `label_bias` [labels], all float32.
    """

    def __init__(
        self, prompt: np.ndarray, label_head: np.ndarray, label_bias: np.ndarray, *, train_head: bool = False
    ) -> None:
        """Copies of the given arrays; head and bias take gradients only with `train_head`."""
        super().__init__()
        self.prompt = nn.Parameter(torch.tensor(prompt, dtype=torch.float32))
        self.label_head = nn.Parameter(
            torch.tensor(label_head, dtype=torch.float32), requires_grad=train_head
        )
        self.label_bias = nn.Parameter(
            torch.tensor(label_bias, dtype=torch.float32), requires_grad=train_head
        )

    @classmethod
    def of(cls, artifact: Artifact) -> Self:
        """Return the classifier of an artifact."""
        return cls(artifact.prompt, artifact.label_head, artifact.label_bias)

    def forward(self, trunk: nn.Module, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return label logits, float32 [batch, labels]; the prompt is encoded once, for all rows.

        `ids` int64 [batch, text] padded on the right with any id, `lengths` int64 [batch] >= 1. The prompt's
        gradients are the same as if every row began with it, because it does not depend on the texts.
        """
        embed = trunk.get_input_embeddings()
        cache = None
        if len(self.prompt):
            prompt = self.prompt.to(embed.weight.dtype)[None]
            cache = trunk(inputs_embeds=prompt, use_cache=True).past_key_values
            cache.batch_repeat_interleave(len(ids))
        hidden = trunk(
            inputs_embeds=embed(ids), past_key_values=cache, use_cache=cache is not None
        ).last_hidden_state
        return self.head(hidden[torch.arange(len(ids), device=ids.device), lengths - 1])

    def head(self, rows: Tensor) -> Tensor:
        """Return label logits, float32 [batch, labels], of hidden rows [batch, hidden] at the last tokens."""
        with torch.autocast(rows.device.type, enabled=False):  # float32, even if the trunk runs in bfloat16
            return nn.functional.linear(rows.float(), self.label_head, self.label_bias)

    @torch.no_grad()
    def score(self, trunk: nn.Module, rows: Sequence[Sequence[int]]) -> np.ndarray:
        """Return label logits, float32 [rows, labels], of rows of token ids."""
        device = self.prompt.device
        logits = np.empty((len(rows), len(self.label_bias)), np.float32)
        for indices in _scoring_batches(
            [len(row) + len(self.prompt) for row in rows], SCORING_TOKENS[device.type]
        ):
            ids, lengths = pad_right([rows[i] for i in indices], device)
            logits[indices] = self(trunk, ids, lengths).cpu().numpy()
        return logits


def label_logits(
    trunk: nn.Module, classifiers: Sequence[PromptedClassifier], batches: Sequence[tuple[Tensor, Tensor]]
) -> list[Tensor]:
    """Return label logits, float32 [batch, labels], of each classifier for its own batch, in one trunk run.

    Each row is [prompt; text]. A batch is `ids` int64 [batch, text], padded on the right with any id, and
    `lengths` int64 [batch] >= 1. Prompts and texts may differ in length: attention is causal and padding
    follows the row that is read, so no mask is needed. The trunk computes in its own precision; vocabulary
    logits are never computed.
    """
    embed = trunk.get_input_embeddings()
    parts = [
        torch.cat([classifier.prompt.to(embed.weight.dtype).expand(len(ids), -1, -1), embed(ids)], dim=1)
        for classifier, (ids, _) in zip(classifiers, batches, strict=True)
    ]
    longest = max(part.shape[1] for part in parts)
    stacked = torch.cat([nn.functional.pad(part, (0, 0, 0, longest - part.shape[1])) for part in parts])
    hidden = trunk(inputs_embeds=stacked, use_cache=False).last_hidden_state
    last = torch.cat(
        [len(c.prompt) + lengths - 1 for c, (_, lengths) in zip(classifiers, batches, strict=True)]
    )
    rows = hidden[torch.arange(len(hidden), device=hidden.device), last]
    return [
        classifier.head(mine)
        for classifier, mine in zip(classifiers, rows.split([len(part) for part in parts]), strict=True)
    ]


def torch_device(name: str) -> torch.device:
    """Return the device of `auto` (CUDA if it is available), `cpu` or `cuda`."""
    if name == "cuda" and not torch.cuda.is_available():
        raise SoftcallError("--device cuda: PyTorch sees no CUDA device here; auto and cpu are accepted")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def pad_right(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return (ids int64 [batch, longest], lengths int64 [batch]) of rows of token ids, padded with id 0."""
    lengths = [len(row) for row in rows]
    ids = np.zeros((len(rows), max(lengths)), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    return torch.from_numpy(ids).to(device, non_blocking=True), torch.tensor(lengths).to(
        device, non_blocking=True
    )


def _scoring_batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Yield batches of indices of similar lengths, of at most `tokens` when padded; longer rows run alone."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
