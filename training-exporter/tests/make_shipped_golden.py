"""Make src/test/resources/shipped/<task>.json.gz: what PEFT answers with the two shipped prompts.

    uv run --all-extras python tests/make_shipped_golden.py

300 rows of each test set (a seeded sample), one unpadded row at a time in float32 on the default base: the
token ids that the model saw (a text is cut to 256 tokens, template included) and the label logits,
`head @ hidden + bias` of PEFT's last hidden row. Takes a few minutes on two cores.
"""

import gzip
import json
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from peft import PeftModel, PromptTuningConfig, get_peft_model

from softcall.artifact.artifact import Artifact
from softcall.base.source import LoadedBase, Source
from softcall.datasets.rows import read_rows

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "src/test/resources/shipped"
EXAMPLES = ROOT / "training-exporter/examples"
TEST_SETS = {"banking77": "banking77/test.jsonl", "spamassassin": "spamassassin/test.jsonl.gz"}
ROWS = 300
LIMIT = 256
SEED = 17


def shipped(task: str) -> Artifact:
    """Read the artifact of a shipped task."""
    return Artifact.from_bytes((ROOT / "tasks" / task / "adapter_model.safetensors").read_bytes(), task)


def peft_model(base: LoadedBase, artifact: Artifact) -> PeftModel:
    """Wrap the base with PEFT's prompt tuning and put the artifact's prompt into it."""
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=artifact.tokens)
    model = get_peft_model(base.model, config).eval()
    with torch.no_grad():
        model.prompt_encoder["default"].embedding.weight.copy_(torch.from_numpy(artifact.prompt.copy()))
    return model


def peft_logits(model: PeftModel, artifact: Artifact, ids: Sequence[int]) -> list[float]:
    """Return the label logits [labels] of one text by PEFT's own forward pass."""
    with torch.no_grad():
        output = model(input_ids=torch.tensor([ids]), output_hidden_states=True, logits_to_keep=1)
    hidden = output.hidden_states[-1][0, -1].double().numpy()
    logits = artifact.label_head.astype(np.float64) @ hidden + artifact.label_bias.astype(np.float64)
    return [float(f"{value:.8g}") for value in logits]


def golden_rows(base: LoadedBase, task: str) -> Iterator[dict[str, object]]:
    """Yield the golden rows of a shipped task."""
    artifact = shipped(task)
    model = peft_model(base, artifact)
    rows = read_rows(EXAMPLES / TEST_SETS[task])
    for index in sorted(random.Random(SEED).sample(range(len(rows)), ROWS)):
        ids = artifact.template.encode(base.tokenizer, rows[index].texts, LIMIT, truncate=True)
        yield {
            "index": index,
            "text": rows[index].texts[0],
            "label": rows[index].label,
            "ids": ids,
            "logits": peft_logits(model, artifact, ids),
        }


def main() -> None:
    """Write the golden values of both tasks."""
    base = Source.resolve(None).load()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for task in TEST_SETS:
        rows = []
        for row in golden_rows(base, task):
            rows.append(row)
            if len(rows) % 50 == 0:
                print(f"{task}: {len(rows)} of {ROWS}", flush=True)
        text = json.dumps({"limit": LIMIT, "labels": shipped(task).labels, "rows": rows}, ensure_ascii=False)
        # Without a time stamp, so that equal values give equal bytes.
        (FOLDER / f"{task}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
