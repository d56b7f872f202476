"""The prompted classifier in PyTorch, which training differentiates and `softcall eval` scores."""

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from softcall.artifact.artifact import ClassificationArtifact
from softcall.base.identity import KvShape
from softcall.core.errors import SoftcallError
from softcall.evaluation.prompt import Prompt, prompt_of

# Tokens (rows x longest row) of a scoring batch: they fill the device without exhausting its memory.
SCORING_TOKENS = {"cpu": 2_048, "cuda": 32_768}


class PromptedClassifier(nn.Module):
    """A prompt and a label head, which hold the only parameters: each call takes the trunk as an argument.

    Attributes: `prompt`, `label_head` [labels, hidden], `label_bias` [labels], both float32.
    """

    def __init__(
        self, prompt: Prompt, label_head: np.ndarray, label_bias: np.ndarray, *, train_head: bool = False
    ) -> None:
        """Take the prompt, and copies of head and bias, which take gradients only with `train_head`."""
        super().__init__()
        self.prompt = prompt
        self.label_head = nn.Parameter(
            torch.tensor(label_head, dtype=torch.float32), requires_grad=train_head
        )
        self.label_bias = nn.Parameter(
            torch.tensor(label_bias, dtype=torch.float32), requires_grad=train_head
        )

    @classmethod
    def of(cls, artifact: ClassificationArtifact, kv: KvShape) -> Self:
        """Return the classifier of an artifact, for a base with these keys and values."""
        return cls(prompt_of(artifact, kv), artifact.label_head, artifact.label_bias)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.label_head.device

    def stored(self) -> Self:
        """Return the classifier that is read from an artifact of this one: a KV prompt is rounded there.

        Raises `SoftcallError` if an artifact cannot hold the prompt.
        """
        head, bias = (each.detach().cpu().numpy() for each in (self.label_head, self.label_bias))
        return type(self)(self.prompt.stored(), head, bias).to(self.device)

    def forward(self, trunk: nn.Module, ids: Tensor, lengths: Tensor, kept: Tensor | None = None) -> Tensor:
        """Return label logits, float32 [batch, labels]; the prompt's keys and values are made once.

        `ids` int64 [batch, text] padded on the right with any id, `lengths` int64 [batch] >= 1, `kept` as in
        `Prompt`. The prompt's gradients are the same as if every row began with it, because it does not
        depend on the texts.
        """
        embed = trunk.get_input_embeddings()
        cache = self.prompt.cache(trunk, kept)
        if cache is not None:
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
        logits = np.empty((len(rows), len(self.label_bias)), np.float32)
        for indices in _scoring_batches(
            [len(row) + self.prompt.tokens for row in rows], SCORING_TOKENS[self.device.type]
        ):
            ids, lengths = pad_right([rows[i] for i in indices], self.device)
            logits[indices] = self(trunk, ids, lengths).cpu().numpy()
        return logits


def label_logits(
    trunk: nn.Module,
    classifiers: Sequence[PromptedClassifier],
    batches: Sequence[tuple[Tensor, Tensor]],
    kept: Sequence[Tensor | None] | None = None,
) -> list[Tensor]:
    """Return label logits, float32 [batch, labels], of each classifier for its own batch, in one trunk run.

    The prompts have one `form`, and every row has its prompt in front. KV prompts take a trunk of training
    steps, which has `behind` (`softcall.training.compute.prefixed_trunk`). A batch is `ids` int64
    [batch, text], padded on the right with any id, and `lengths` int64 [batch] >= 1; `kept` has factors for
    each prompt, as in `Prompt`. Soft prompts and texts may differ in length: attention is causal and padding
    follows the row that is read, so no mask is needed. The trunk computes in its own precision; vocabulary
    logits are never computed.
    """
    embed = trunk.get_input_embeddings()
    parts = [
        classifier.prompt.in_front_of(embed(ids), factors)
        for classifier, (ids, _), factors in zip(
            classifiers, batches, kept or [None] * len(classifiers), strict=True
        )
    ]
    longest = max(part.inputs.shape[1] for part in parts)
    stacked = torch.cat(
        [nn.functional.pad(part.inputs, (0, 0, 0, longest - part.inputs.shape[1])) for part in parts]
    )
    if parts[0].past is None:
        hidden = trunk(inputs_embeds=stacked, use_cache=False).last_hidden_state
    else:
        hidden = trunk.behind(torch.cat([part.past for part in parts], dim=1), stacked)
    last = torch.cat(
        [
            part.inputs.shape[1] - ids.shape[1] + lengths - 1
            for part, (ids, lengths) in zip(parts, batches, strict=True)
        ]
    )
    rows = hidden[torch.arange(len(hidden), device=hidden.device), last]
    return [
        classifier.head(mine)
        for classifier, mine in zip(
            classifiers, rows.split([len(part.inputs) for part in parts]), strict=True
        )
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
