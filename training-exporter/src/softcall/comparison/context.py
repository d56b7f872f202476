"""Classification by words alone: an instruction, perhaps with examples, stands in front of each text."""

from collections import defaultdict, deque

import numpy as np
import torch

from softcall.base.source import LoadedBase
from softcall.comparison.prepared import Prepared
from softcall.evaluation.classifier import PromptedClassifier
from softcall.evaluation.prompt import KvPrompt
from softcall.training.initialization import classifier_behind
from softcall.training.settings.config import TrainConfig
from softcall.training.settings.prompt_init import default_init_text

CONTEXT_TOKENS = 512
_BETWEEN = "\n\n"


def behind_words(
    training: TrainConfig, prepared: Prepared, base: LoadedBase, *, examples: bool
) -> PromptedClassifier:
    """Return the classifier behind the labels' instruction, as `softcall push --context` makes it.

    With `examples` rows of train follow, drawn by the seed, of all labels in turn: as many whole ones as
    `CONTEXT_TOKENS` tokens hold.
    """
    text = default_init_text(prepared.words)
    if examples:
        text = _with_examples(text, training, prepared, base)
    ids = base.tokenizer.encode(text, add_special_tokens=False).ids
    embedding = base.model.get_input_embeddings().weight
    vectors = embedding[torch.tensor(ids, device=embedding.device)].cpu().numpy()
    prompt = KvPrompt.encoded(vectors, base.model.base_model)
    return classifier_behind(prompt, training, base, prepared.words).to(base.model.device)


def _with_examples(text: str, training: TrainConfig, prepared: Prepared, base: LoadedBase) -> str:
    chance = np.random.default_rng(training.seed)
    answers = prepared.examples["train"].answers
    waiting: dict[int, deque[int]] = defaultdict(deque)
    for row in chance.permutation(len(answers)):
        waiting[int(answers[row])].append(int(row))
    labels = deque(chance.permutation(sorted(waiting)).tolist())
    while labels:
        label = labels.popleft()
        shown = base.tokenizer.decode(prepared.examples["train"].ids[waiting[label].popleft()])
        longer = text + _BETWEEN + shown + prepared.words[label]
        if len(base.tokenizer.encode(longer + _BETWEEN, add_special_tokens=False).ids) > CONTEXT_TOKENS:
            break
        text = longer
        if waiting[label]:
            labels.append(label)
    return text + _BETWEEN
