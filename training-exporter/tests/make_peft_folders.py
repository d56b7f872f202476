"""Makes src/test/resources/peft/{english,japanese}: plain PEFT folders, and what PEFT itself answers.

    uv run --all-extras python tests/make_peft_folders.py

Each folder is what a user of PEFT has after a few steps of prompt tuning on the default base:
`adapter_config.json` and `adapter_model.safetensors`. Beside them lie `task.json`, which `softcall push`
reads, and `golden.json`: label logits in float32, one unpadded text at a time, taken from the language
model's own logits (of a label of several tokens, their mean). Everything is seeded and runs in one thread.
"""

import json
import os
import shutil
import tempfile
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import PeftModel, PromptTuningConfig, get_peft_model
from tokenizers import Tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from softcall.base.source import LoadedBase, Source

FOLDER = Path(__file__).resolve().parents[2] / "src/test/resources/peft"
STEPS = 24
SEED = 11


@dataclass(frozen=True)
class PeftTask:
    """A task as its owner would describe it; `rows` are (text, label)."""

    init_text: str
    template: str
    verbalizers: dict[str, str]
    rows: tuple[tuple[str, str], ...]
    texts: tuple[str, ...]


ENGLISH = PeftTask(
    init_text="Classify the review as positive, negative or mixed.",
    template="Review: {text}\nSentiment:",
    verbalizers={"positive": " positive", "negative": " negative", "mixed": " neither good nor bad"},
    rows=(
        ("A joy from the first scene to the last.", "positive"),
        ("I would watch it again tomorrow.", "positive"),
        ("Cold food and a rude waiter.", "negative"),
        ("The bill was wrong and nobody cared.", "negative"),
        ("Lovely music, but far too long.", "mixed"),
        ("Some scenes shine and others drag.", "mixed"),
    ),
    texts=(
        "The film was a joy.",
        "I will not come back.",
        "It has its moments.",
        "a",
        "Not bad at all, though the ending let me down.",
        "naïve café – “quoted” — ½ price",
        "🎉🎉 best day ever 🥳",
        "A text may contain {text} itself.",
        "  leading and trailing space  ",
        "line one\nline two " + "and then it goes on and on " * 8,
    ),
)

JAPANESE = PeftTask(
    init_text="次の感想を肯定か否定に分類してください。",
    template="感想：{text}\n分類：",
    verbalizers={"肯定": "肯定", "否定": "否定", "どちらでもない": "どちらでもない"},
    rows=(
        ("最初から最後まで素晴らしかった。", "肯定"),
        ("また見たいと思います。", "肯定"),
        ("料理は冷たく、店員は失礼でした。", "否定"),
        ("もう行きません。", "否定"),
        ("良い所も悪い所もあった。", "どちらでもない"),
        ("可もなく不可もなく。", "どちらでもない"),
    ),
    texts=(
        "この映画は素晴らしかった！",
        "二度と買いません。",
        "普通でした。",
        "あ",
        "音楽は良かったけれど、少し長すぎる。",
        "ｶﾞｯｶﾘした…　もう来ない",
        "最高🎉👍🏽",
        "文中に{text}があっても大丈夫。",
        "　前後に空白　",
        "一行目\n二行目" + "そして話は続く、" * 8,
    ),
)

TASKS = {"english": ENGLISH, "japanese": JAPANESE}


def main() -> None:
    torch.set_num_threads(1)
    base = Source.resolve(None).load()
    for name, task in TASKS.items():
        folder = FOLDER / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as scratch, chdir(scratch):
            PreTrainedTokenizerFast(tokenizer_object=base.tokenizer).save_pretrained(base.name)
            base.model.name_or_path = base.name
            model = tune(base.model, base.name, task)
            model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        write_task_file(folder, task)
        golden = _golden(base, model, task)
        (folder / "golden.json").write_text(_one_row_a_line(golden), "utf-8")


def tune(model: PreTrainedModel, name: str, task: PeftTask, steps: int = STEPS) -> PeftModel:
    """The usual lines of PEFT; `name` is the folder of the model's tokenizer."""
    torch.manual_seed(SEED)
    config = PromptTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=8,
        prompt_tuning_init="TEXT",
        prompt_tuning_init_text=task.init_text,
        tokenizer_name_or_path=name,
    )
    tuned = get_peft_model(model, config)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(name)._tokenizer
    optimizer = torch.optim.AdamW(tuned.parameters(), lr=0.02)
    for step in range(steps):
        text, label = task.rows[step % len(task.rows)]
        question = encode(tokenizer, fill(task.template, text))
        answer = encode(tokenizer, task.verbalizers[label])
        ids = torch.tensor([question + answer])
        targets = torch.tensor([[-100] * len(question) + answer])
        tuned(input_ids=ids, labels=targets).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return tuned.eval()


def write_task_file(folder: Path, task: PeftTask) -> None:
    record = {
        "template": task.template,
        "labels": list(task.verbalizers),
        "verbalizers": task.verbalizers,
    }
    (folder / "task.json").write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n", "utf-8")


@torch.no_grad()
def label_logits(model: PeftModel, tokenizer: Tokenizer, task: PeftTask, text: str) -> list[float]:
    """The language model's logits of each label's words, behind the prompt and the filled template."""
    ids = encode(tokenizer, fill(task.template, text))
    logits = model(input_ids=torch.tensor([ids])).logits[0, -1].double()
    return [logits[encode(tokenizer, words)].mean().item() for words in task.verbalizers.values()]


def fill(template: str, text: str) -> str:
    before, after = template.split("{text}")
    return before + text + after


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


def _golden(base: LoadedBase, model: PeftModel, task: PeftTask) -> dict:
    rows = [
        {
            "texts": [text],
            "ids": encode(base.tokenizer, fill(task.template, text)),
            "logits": [round(logit, 6) for logit in label_logits(model, base.tokenizer, task, text)],
        }
        for text in task.texts
    ]
    return {
        "base": {"name": base.name, "fingerprint": base.fingerprint},
        "labels": list(task.verbalizers),
        "rows": rows,
    }


def _one_row_a_line(golden: dict) -> str:
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in golden.pop("rows"))
    head = json.dumps(golden, ensure_ascii=False)[:-1]
    return f'{head}, "rows": [\n{rows}\n]}}\n'


if __name__ == "__main__":
    main()
