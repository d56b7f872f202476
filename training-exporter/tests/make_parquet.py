"""Makes src/test/resources/jobs/*.parquet: 50 rows of the tiny base's texts, as pyarrow writes them.

    ../tools/uv run --no-project --with pyarrow==22.0.0 python tests/make_parquet.py

Row i has the id i and the text i of the task `sentiment`, from the first again after the last, in row groups
of 30; `other` is a column that jobs ignore. One file is compressed with Snappy, pyarrow's default, the other
with Zstandard.
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

RESOURCES = Path(__file__).resolve().parents[2] / "src/test/resources"
ROWS = 50
ROW_GROUP_ROWS = 30


def main() -> None:
    """Write both files."""
    golden = json.loads((RESOURCES / "tiny/golden.json").read_text())["tasks"]["sentiment"]
    texts = [golden[i % len(golden)]["texts"][0] for i in range(ROWS)]
    table = pa.table({"other": [1.5] * ROWS, "id": list(range(ROWS)), "text": texts})
    folder = RESOURCES / "jobs"
    folder.mkdir(exist_ok=True)
    for codec in ("snappy", "zstd"):
        pq.write_table(table, folder / f"{codec}.parquet", compression=codec, row_group_size=ROW_GROUP_ROWS)


if __name__ == "__main__":
    main()
