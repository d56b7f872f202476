"""Finds the parts of a data set: in a single file, or in a folder in a layout of the `datasets` library.

A folder was written by `save_to_disk` (`dataset_dict.json` and a folder for each split, or `state.json`), or
it has files of rows that are named after their splits: `train.csv`, `data/train-00000-of-00002.parquet`,
`test/0000.parquet`.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from softcall.core.bounded_file import read_json_object
from softcall.core.errors import SoftcallError
from softcall.datasets.formats import is_record_file

TRAIN, DEV, TEST = "train", "dev", "test"
WHOLE = ""  # the only part of a file, or of a folder without splits
MAX_FILES = 10_000
MAX_DESCRIPTION_BYTES = 16 << 20

# The split names of `datasets`: https://huggingface.co/docs/hub/datasets-file-names-and-splits
_NAMES = {
    TRAIN: ("train", "training"),
    DEV: ("validation", "valid", "val", "dev"),
    TEST: ("test", "testing", "eval", "evaluation"),
}

Parts = dict[str, tuple[Path, ...]]


def parts_of(source: Path) -> Parts:
    """Return the files of each part, in order: `WHOLE` alone, or the existing ones of train, dev and test.

    Raises `SoftcallError` for a folder without rows.
    """
    if not source.is_dir():
        return {WHOLE: (source,)}
    if (source / "dataset_dict.json").is_file():
        return _saved_splits(source)
    if (source / "state.json").is_file():
        return {WHOLE: _saved_files(source)}
    return _named_files(source)


def files_of(source: Path, part: str | None) -> tuple[Path, ...]:
    """Return the files of a part, or all files of a source without parts; raise `SoftcallError` if none."""
    parts = parts_of(source)
    if WHOLE in parts:
        return parts[WHOLE]
    if part is None:
        raise SoftcallError(f"{source} has the parts {', '.join(parts)}; give the file or the folder of one")
    if part not in parts:
        raise SoftcallError(f"{source} has no part {part}; it has {', '.join(parts)}")
    return parts[part]


def _saved_splits(folder: Path) -> Parts:
    splits = read_json_object(folder / "dataset_dict.json", MAX_DESCRIPTION_BYTES).get("splits")
    if not isinstance(splits, list) or not all(_plain_name(split) for split in splits):
        raise SoftcallError(f"{folder / 'dataset_dict.json'}: splits is {splits!r}; expected a list of names")
    parts: Parts = {}
    for split in splits:
        if part := _part(split):
            if part in parts:
                raise SoftcallError(f"{folder}: {', '.join(splits)} has several splits for {part}; give one")
            parts[part] = _saved_files(folder / split)
    if not parts:
        raise SoftcallError(f"{folder}: its splits are {', '.join(splits)}; give the folder of one")
    return parts


def _saved_files(folder: Path) -> tuple[Path, ...]:
    """Return the Arrow files of a split, in the order of its state."""
    state = folder / "state.json"
    listed = read_json_object(state, MAX_DESCRIPTION_BYTES).get("_data_files")
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in listed or ()]
    if not names or not all(_plain_name(name) for name in names):
        raise SoftcallError(f"{state}: _data_files is {listed!r}; expected a list of files in this folder")
    return tuple(folder / name for name in names)


def _named_files(folder: Path) -> Parts:
    """Group files by the split in their name, or in the name of their folder."""
    found = _record_files(folder)
    parts: dict[str, list[Path]] = defaultdict(list)
    for file in found:
        inner = file.parent.name if file.parent != folder else ""
        if part := _part(file.name) or _part(inner):
            parts[part].append(file)
    chosen = {part: tuple(parts[part]) for part in _NAMES if part in parts} or {WHOLE: tuple(found)}
    if not found:
        raise SoftcallError(
            f"{folder} holds no rows; expected .jsonl, .csv, .parquet or .arrow files, or a folder of"
            f" save_to_disk{_inner_folders(folder)}"
        )
    for files in chosen.values():
        formats = {file.name.removesuffix(".gz").rsplit(".", 1)[-1] for file in files}
        if len(formats) > 1:
            raise SoftcallError(
                f"{folder} holds a part in several formats ({', '.join(file.name for file in files[:6])});"
                " give a file, or a folder with one of them"
            )
    return chosen


def _record_files(folder: Path) -> list[Path]:
    """Return the files of rows in the folder, in `data`, and in folders named after a split."""
    places = [folder, *(folder / name for name in _folders(folder) if name == "data" or _part(name))]
    files = [
        file
        for place in places
        for file in sorted(place.iterdir())
        if file.is_file() and is_record_file(file) and not file.name.startswith(".")
    ]
    if len(files) > MAX_FILES:
        raise SoftcallError(f"{folder} holds {len(files)} files of rows; at most {MAX_FILES} are read")
    return files


def _folders(folder: Path) -> list[str]:
    return sorted(inner.name for inner in folder.iterdir() if inner.is_dir())


def _inner_folders(folder: Path) -> str:
    names = [name for name in _folders(folder) if not name.startswith(".")][:6]
    return f"; it has the folders {', '.join(names)}" if names else ""


def _part(name: str) -> str | None:
    """Return the part that a name contains as a separate word."""
    for part, words in _NAMES.items():
        if re.search(rf"(?<![a-z])({'|'.join(words)})(?![a-z])", name.lower()):
            return part
    return None


def _plain_name(name: Any) -> bool:
    return isinstance(name, str) and Path(name).name == name and name not in ("", ".", "..")
