"""Makes tests/dataset_layouts: a small data set in every layout of Hugging Face's library, written by it.

    ../tools/uv run --no-project --with datasets==5.2.0 python tests/make_datasets.py

`saved/` is a DatasetDict's `save_to_disk` with the labels of test kept secret (-1), train in two files;
`split/` is one Dataset's; `hub/` holds `data/train-00000-of-00002.parquet` and so on, as `push_to_hub` names
them. All hold the same rows, whose labels are a ClassLabel; `rows.json` has them in plain words.
"""

import json
import shutil
from pathlib import Path

import datasets

FOLDER = Path(__file__).parent / "dataset_layouts"
NAMES = ["negative", "neutral", "positive"]
ROWS = {
    "train": [(f"Text {i} of training.\nIt has two lines, a “quote” and 日本語.", i % 3) for i in range(11)],
    "validation": [(f"Text {i} to choose by.", i % 3) for i in range(4)],
    "test": [(f"Text {i} to be scored.", -1) for i in range(3)],
}


def main() -> None:
    """Write every layout anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    features = datasets.Features(
        {
            "idx": datasets.Value("int32"),
            "sentence": datasets.Value("string"),
            "label": datasets.ClassLabel(names=NAMES),
        }
    )
    parts = datasets.DatasetDict()
    for split, rows in ROWS.items():
        columns = {
            "idx": list(range(len(rows))),
            "sentence": [text for text, _ in rows],
            "label": [label for _, label in rows],
        }
        parts[split] = datasets.Dataset.from_dict(columns, features=features)
    parts.save_to_disk(FOLDER / "saved", num_shards={"train": 2, "validation": 1, "test": 1})
    parts["train"].save_to_disk(FOLDER / "split")
    (FOLDER / "hub/data").mkdir(parents=True)
    for split, shards in (("train", 2), ("validation", 1), ("test", 1)):
        for index in range(shards):
            shard = parts[split].shard(shards, index, contiguous=True)
            shard.to_parquet(FOLDER / f"hub/data/{split}-{index:05}-of-{shards:05}.parquet")
    plain = {
        split: [[text, NAMES[label] if label >= 0 else None] for text, label in rows]
        for split, rows in ROWS.items()
    }
    (FOLDER / "rows.json").write_text(json.dumps(plain, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
