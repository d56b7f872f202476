"""Makes src/test/resources/jobs/*.parquet, as pyarrow writes them.

    ../tools/uv run --no-project --with pyarrow==22.0.0 python tests/make_parquet.py

`snappy.parquet` and `zstd.parquet`: 50 rows of the tiny base's texts. Row i has the id i and the text i of
the task `sentiment`, from the first again after the last, in row groups of 30; `other` is a column that jobs
ignore.

`layouts/*.parquet`: the same 300 rows in every encoding, compression and version of pages that our reader
knows, some with nulls; `ids/*.parquet`: three rows with ids of one type each. `expected.json` beside them has
what pyarrow reads back: ids as JSON would write them, texts, and null where there is none.
"""

import datetime
import decimal
import json
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

RESOURCES = Path(__file__).resolve().parents[2] / "src/test/resources"
FOLDER = RESOURCES / "jobs"
ROWS = 50
ROW_GROUP_ROWS = 30
LAYOUT_ROWS = 300
LAYOUT_GROUP_ROWS = 170

UTC = datetime.UTC
MOMENT = datetime.datetime(2026, 1, 31, 12, 30, 15, 250000)
UUIDS = [uuid.UUID(int=value) for value in (0, 2**127 + 7, 2**128 - 1)]

# By name: the type, three ids, and what they are in JSON.
IDS = {
    "int8": (pa.int8(), [-128, 0, 127], "-128 0 127"),
    "int64": (pa.int64(), [-(2**63), 0, 2**63 - 1], f"{-(2**63)} 0 {2**63 - 1}"),
    "uint32": (pa.uint32(), [0, 1, 2**32 - 1], f"0 1 {2**32 - 1}"),
    "uint64": (pa.uint64(), [0, 1, 2**64 - 1], f"0 1 {2**64 - 1}"),
    "float": (pa.float32(), [0.1, -2.5, 100.0], "0.1 -2.5 100.0"),
    "double": (pa.float64(), [0.1, -2.5, 1e300], "0.1 -2.5 1.0E300"),
    "decimal": (
        pa.decimal128(20, 3),
        [decimal.Decimal("-1.500"), decimal.Decimal("0.001"), decimal.Decimal("99999999999999999.999")],
        "-1.500 0.001 99999999999999999.999",
    ),
    "string": (pa.string(), ["a", "ü\n", ""], '"a" "ü\\n" ""'),
    "binary": (pa.binary(), [b"a", "日".encode(), b"z"], '"a" "日" "z"'),
    "uuid": (pa.uuid(), [value.bytes for value in UUIDS], " ".join(f'"{value}"' for value in UUIDS)),
    "date": (
        pa.date32(),
        [datetime.date(1969, 12, 31), datetime.date(1970, 1, 1), datetime.date(2026, 1, 31)],
        '"1969-12-31" "1970-01-01" "2026-01-31"',
    ),
    "timestamp": (
        pa.timestamp("us"),
        [MOMENT] * 3,
        " ".join(['"2026-01-31T12:30:15.250"'] * 3),
    ),
    "timestamp-utc": (
        pa.timestamp("ms", "UTC"),
        [MOMENT.replace(tzinfo=UTC)] * 3,
        " ".join(['"2026-01-31T12:30:15.250Z"'] * 3),
    ),
}
# None of these is an id: an error of each row that has one, and of lists and the like of every row.
NO_IDS = {
    "fixed": (pa.binary(4), [b"abcd"] * 3),
    "bool": (pa.bool_(), [True] * 3),
    "list": (pa.list_(pa.int64()), [[1]] * 3),
    "time": (pa.time64("us"), [datetime.time(1, 2, 3)] * 3),
    "nan": (pa.float64(), [float("nan")] * 3),
    "not-utf8": (pa.binary(), [b"\xff"] * 3),
}

LAYOUTS = {
    "plain": {"use_dictionary": False, "compression": "none"},
    "dictionary": {"compression": "none", "data_page_size": 100},
    "gzip": {"compression": "gzip", "data_page_size": 500, "use_dictionary": False},
    "zstd-v2": {"compression": "zstd", "data_page_version": "2.0", "data_page_size": 500},
    "snappy-v2": {"compression": "snappy", "data_page_version": "2.0", "use_dictionary": False},
    "checksums": {"compression": "snappy", "write_page_checksum": True},
    "delta": {
        "use_dictionary": False,
        "column_encoding": {
            "id": "DELTA_BINARY_PACKED",
            "task": "DELTA_LENGTH_BYTE_ARRAY",
            "text": "DELTA_BYTE_ARRAY",
        },
    },
    "delta-v2": {
        "use_dictionary": False,
        "data_page_version": "2.0",
        "data_page_size": 700,
        "column_encoding": {
            "id": "DELTA_BINARY_PACKED",
            "task": "DELTA_BYTE_ARRAY",
            "text": "DELTA_LENGTH_BYTE_ARRAY",
        },
    },
    "split": {
        "use_dictionary": False,
        "column_encoding": {"id": "BYTE_STREAM_SPLIT", "task": "PLAIN", "text": "PLAIN"},
    },
}


def main() -> None:
    """Write all files."""
    golden = json.loads((RESOURCES / "tiny/golden.json").read_text())["tasks"]["sentiment"]
    texts = [golden[i % len(golden)]["texts"][0] for i in range(ROWS)]
    table = pa.table({"other": [1.5] * ROWS, "id": list(range(ROWS)), "text": texts})
    for folder in ("layouts", "ids"):
        (FOLDER / folder).mkdir(parents=True, exist_ok=True)
    for codec in ("snappy", "zstd"):
        pq.write_table(table, FOLDER / f"{codec}.parquet", compression=codec, row_group_size=ROW_GROUP_ROWS)
    write_layouts()
    write_ids()


def write_layouts() -> None:
    """The same rows, laid out in every way."""
    rows = range(LAYOUT_ROWS)
    columns = {
        "id": pa.array([None if i % 7 == 3 else i * i - 1000 for i in rows], pa.int64()),
        "other": pa.array([[i] for i in rows]),
        "task": pa.array([None if i < 40 else f"task-{i % 3}" for i in rows]),
        "text": pa.array([f"text {'x' * (i % 50)} {i // 10}" for i in rows]),
    }
    schema = pa.schema(
        [pa.field(name, array.type, nullable=name != "text") for name, array in columns.items()]
    )
    table = pa.table(columns, schema)
    for name, options in LAYOUTS.items():
        path = FOLDER / "layouts" / f"{name}.parquet"
        pq.write_table(table, path, row_group_size=LAYOUT_GROUP_ROWS, **options)
    read = pq.read_table(FOLDER / "layouts/plain.parquet").select(["id", "task", "text"])
    (FOLDER / "layouts/expected.json").write_text(json.dumps(read.to_pylist(), indent=0) + "\n")


def write_ids() -> None:
    """Three rows of each type of id."""
    for name, (kind, ids, *_) in {**IDS, **NO_IDS}.items():
        array = pa.array(ids, kind)
        pq.write_table(pa.table({"text": ["a", "b", "c"], "id": array}), FOLDER / "ids" / f"{name}.parquet")
    expected = {name: json_ids.split(" ") for name, (_, _, json_ids) in IDS.items()}
    expected |= dict.fromkeys(NO_IDS, None)
    (FOLDER / "ids/expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
