"""The base bundle on disk, as docs/base-bundle.md describes it."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from softcall.base.chat_template import ChatTemplate, StoredChatTemplate
from softcall.base.decoder import Decoder, LmHead
from softcall.base.generation import Generation, shortest_float
from softcall.base.identity import BaseIdentity, KvShape
from softcall.base.trunk import Trunk
from softcall.core.bounded_file import read_bounded, read_json_object, require_file
from softcall.core.errors import SoftcallError
from softcall.core.first_bytes import JSON, tell
from softcall.core.new_file import write_file

SCHEMA = 1
DESCRIPTION_FILE = "base.json"
REPLACE_ADVICE = "name a new folder, or pass --replace to overwrite a base bundle"
TOKENIZER_FILE = "tokenizer.json"
FULL_PRECISION = "fp32"
INT8 = "int8"
INT4 = "int4"
FP16 = "fp16"
VARIANTS = (FULL_PRECISION, INT8, INT4, FP16)
DEFAULT_VARIANTS = (FULL_PRECISION, INT8)
"""The variants that are exported by default; int4 is on request, fp16 is for servers with a GPU."""

MAX_DESCRIPTION_BYTES = 64 << 20
MAX_DESCRIPTION_TOKENS = 5_000_000  # mostly the numbers of golden rows
MAX_TOKENIZER_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class Golden:
    """A row that the eager PyTorch model computed from [prompt | text].

    `prompt_embeds` is float32 [prompt, hidden], `hidden` float32 [hidden].
    """

    input_ids: tuple[int, ...]
    prompt_embeds: np.ndarray
    hidden: np.ndarray
    tolerance: float

    def __post_init__(self):
        if self.prompt_embeds.ndim != 2 or self.hidden.shape != self.prompt_embeds.shape[1:]:
            raise SoftcallError(
                f"golden: prompt_embeds {self.prompt_embeds.shape} does not fit hidden {self.hidden.shape}"
            )
        if not (np.isfinite(self.hidden).all() and np.abs(self.hidden).max() > 0):
            raise SoftcallError("golden.hidden: finite numbers, not all zero, are expected")
        if not 0 < self.tolerance < 1:
            raise SoftcallError(f"golden.tolerance: {self.tolerance}; a number between 0 and 1 is expected")

    def difference(self, trunk: Trunk) -> float:
        """Return the error of `trunk`: the largest difference, relative to the row's largest element."""
        last = np.array([len(self.prompt_embeds) + len(self.input_ids) - 1])
        hidden = trunk.hidden(np.array([self.input_ids], np.int64), last, self.prompt_embeds[None])[0]
        return relative_difference(hidden, self.hidden)

    def decoded(self, trunk: Trunk, decoder: Decoder) -> np.ndarray:
        """Return the row, float32 [1, hidden], where `decoder` runs the last token and `trunk` the others."""
        prefix = trunk.encode(self.prompt_embeds)
        *before, last = self.input_ids
        if before:
            prefix = trunk.read(before, prefix)
        past = len(self.prompt_embeds) + len(before)
        return decoder.hidden([last], [past], decoder.cache([prefix], past + 1))


def relative_difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest |actual - expected| over the largest |expected|; infinity if not finite."""
    difference = float(np.abs(actual - expected).max() / np.abs(expected).max())
    return difference if math.isfinite(difference) else math.inf


@dataclass(frozen=True)
class OutputEmbedding:
    """Where the vocabulary head's float32 rows are: at an offset of `file`, or in a safetensors tensor."""

    file: str
    shape: tuple[int, int]
    offset: int | None = None
    tensor: str | None = None

    def __post_init__(self):
        if (self.offset is None) == (self.tensor is None):
            raise SoftcallError("output_embedding: either a byte offset or the name of a tensor is expected")


@dataclass(frozen=True, eq=False)
class VariantGolden:
    """The golden row of a variant below full precision, computed with its own arithmetic in PyTorch."""

    hidden: np.ndarray
    tolerance: float


@dataclass(frozen=True, eq=False)
class Variant:
    """One precision of the trunk: `graph`, and the sha256 of every file, as paths inside the bundle.

    `golden` replaces the hidden row and the tolerance of the bundle's golden row. A variant that writes no
    texts has no `generation`.
    """

    graph: str
    files: Mapping[str, str]
    kv_layout: str
    golden: VariantGolden | None = None
    generation: Generation | None = None

    def __post_init__(self):
        if self.graph not in self.files:
            raise SoftcallError(
                f"the graph {self.graph} is missing among the variant's files {sorted(self.files)}"
            )


@dataclass(frozen=True, eq=False)
class Bundle:
    """A base bundle. Its attributes are the fields of `base.json`.

    Two are renamed, because methods read what they locate: `output_embedding` and `chat_template`.
    """

    folder: Path
    name: str
    architecture: str
    fingerprint: str
    hidden_size: int
    num_hidden_layers: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    max_position_embeddings: int
    bos_token_id: int | None
    eos_token_id: int | None
    pad_token_id: int
    output_embedding_location: OutputEmbedding
    golden: Golden
    variants: Mapping[str, Variant]
    exporter: Mapping[str, str]
    eos_token_ids: tuple[int, ...] = ()
    chat_template_location: StoredChatTemplate | None = None

    def __post_init__(self):
        if not self.name.strip() or len(self.name) > 200:
            raise SoftcallError(f"name: {self.name!r}; 1 to 200 characters are expected")
        if len(self.fingerprint) != 64 or set(self.fingerprint) - set("0123456789abcdef"):
            raise SoftcallError(
                f"fingerprint: {self.fingerprint!r}; 64 lower-case hexadecimal digits are expected"
            )
        for field in ("hidden_size", "num_hidden_layers", "num_key_value_heads", "head_dim", "vocab_size"):
            if getattr(self, field) < 1:
                raise SoftcallError(f"{field}: {getattr(self, field)}; at least 1 is expected")
        if self.max_position_embeddings < 2:
            raise SoftcallError(
                f"max_position_embeddings: {self.max_position_embeddings}; at least 2 is expected"
            )
        if not 0 <= self.pad_token_id < self.vocab_size:
            raise SoftcallError(
                f"pad_token_id: {self.pad_token_id}; an id below {self.vocab_size} is expected"
            )
        for token in self.eos_token_ids:
            if not (isinstance(token, int) and 0 <= token < self.vocab_size):
                raise SoftcallError(
                    f"eos_token_ids: {list(self.eos_token_ids)}; ids below {self.vocab_size} are expected"
                )
        if self.golden.hidden.shape != (self.hidden_size,):
            raise SoftcallError(
                f"golden.hidden: {self.golden.hidden.shape}; [{self.hidden_size}] is expected"
            )
        if not self.variants:
            raise SoftcallError("variants: none; at least one is expected")
        for variant in self.variants.values():
            if variant.generation and not self.golden.input_ids:
                raise SoftcallError("golden.input_ids: none; a variant that writes texts needs at least one")
            if variant.generation and max(variant.generation.golden.ids) >= self.vocab_size:
                raise SoftcallError(
                    f"generation.golden.ids: {list(variant.generation.golden.ids)}; ids below "
                    f"{self.vocab_size} are expected"
                )

    @classmethod
    def open(cls, path: str | Path) -> "Bundle":
        """Read the bundle in the folder `path`; raises `SoftcallError` if it is not one."""
        folder = Path(path)
        file = folder / DESCRIPTION_FILE
        if not file.is_file():
            raise SoftcallError(
                f"{folder} is not a base bundle: it has no {DESCRIPTION_FILE} (`softcall base` makes one)"
            )
        record = read_json_object(file, MAX_DESCRIPTION_BYTES, MAX_DESCRIPTION_TOKENS)
        try:
            return cls._from_record(folder, record)
        except SoftcallError as error:
            raise SoftcallError(f"{file}: {error}") from error
        except KeyError as error:
            raise SoftcallError(f"{file}: the field {error} is missing") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise SoftcallError(f"{file}: not a base description ({error})") from error

    @classmethod
    def _from_record(cls, folder: Path, record: dict[str, Any]) -> "Bundle":
        if record["schema"] != SCHEMA:
            raise SoftcallError(
                f"schema: {record['schema']!r}; this version of softcall reads schema {SCHEMA}"
            )
        golden, embedding = record["golden"], record["output_embedding"]
        integers = ("hidden_size", "num_hidden_layers", "num_key_value_heads", "head_dim", "vocab_size")
        return cls(
            folder=folder,
            name=record["name"],
            architecture=record["architecture"],
            fingerprint=record["fingerprint"],
            **{field: int(record[field]) for field in integers},
            max_position_embeddings=int(record["max_position_embeddings"]),
            bos_token_id=record["bos_token_id"],
            eos_token_id=record["eos_token_id"],
            pad_token_id=int(record["pad_token_id"]),
            output_embedding_location=OutputEmbedding(
                embedding["file"], tuple(embedding["shape"]), embedding.get("offset"), embedding.get("tensor")
            ),
            golden=Golden(
                tuple(golden["input_ids"]),
                np.array(golden["prompt_embeds"], np.float32),
                np.array(golden["hidden"], np.float32),
                golden["tolerance"],
            ),
            variants={name: _variant(variant) for name, variant in record["variants"].items()},
            exporter=record["exporter"],
            eos_token_ids=_eos_token_ids(record),
            chat_template_location=(
                StoredChatTemplate.from_record(record["chat_template"])
                if record.get("chat_template") is not None
                else None
            ),
        )

    def write_description(self) -> None:
        """Write `base.json` into the bundle's folder."""
        record = {"schema": SCHEMA, **self._record()}
        write_file(self.folder / DESCRIPTION_FILE, f"{_readable(record)}\n".encode())

    def _record(self) -> dict[str, Any]:
        location = self.output_embedding_location
        place = {"offset": location.offset} if location.tensor is None else {"tensor": location.tensor}
        return {
            "name": self.name,
            "architecture": self.architecture,
            "fingerprint": self.fingerprint,
            "hidden_size": self.hidden_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim,
            "vocab_size": self.vocab_size,
            "max_position_embeddings": self.max_position_embeddings,
            "bos_token_id": self.bos_token_id,
            "eos_token_id": self.eos_token_id,
            "pad_token_id": self.pad_token_id,
            "eos_token_ids": list(self.eos_token_ids),
            "chat_template": self.chat_template_location and asdict(self.chat_template_location),
            "output_embedding": {
                "file": location.file,
                **place,
                "dtype": "float32",
                "shape": list(location.shape),
            },
            "golden": {
                "input_ids": list(self.golden.input_ids),
                "prompt_embeds": [[shortest_float(x) for x in row] for row in self.golden.prompt_embeds],
                "hidden": [shortest_float(x) for x in self.golden.hidden],
                "tolerance": self.golden.tolerance,
            },
            "variants": {name: _variant_record(variant) for name, variant in self.variants.items()},
            "exporter": dict(self.exporter),
        }

    def tokenizer(self) -> Tokenizer:
        """Return the base's tokenizer; it neither truncates nor pads."""
        return read_tokenizer(self.folder / TOKENIZER_FILE)

    def chat_template(self) -> ChatTemplate | None:
        """Return the base's chat template, or None where it has none."""
        return self.chat_template_location and self.chat_template_location.read(self.folder)

    def output_embedding(self, ids: Sequence[int]) -> np.ndarray:
        """Return the vocabulary head's rows of `ids`, float32 [ids, hidden], from a memory-mapped file."""
        ids = np.asarray(ids, np.int64)
        if ids.size and not (ids.min() >= 0 and ids.max() < self.vocab_size):
            raise SoftcallError(
                f"token ids {ids.min()} to {ids.max()}: the base {self.name} has 0 to {self.vocab_size - 1}"
            )
        return np.array(self._embedding_rows[ids], np.float32)

    @cached_property
    def _embedding_rows(self) -> np.ndarray:
        location = self.output_embedding_location
        file = self._require_file(location.file)
        with _blamed_on(file):
            if location.tensor is None:
                return np.memmap(file, "<f4", "r", location.offset, location.shape)
            from safetensors import safe_open

            return safe_open(file, "numpy").get_tensor(location.tensor)

    def _require_file(self, name: str) -> Path:
        """Return the path of a file of the bundle; raise `SoftcallError` unless it exists and is readable."""
        file = self.folder / name
        if not file.exists():
            raise SoftcallError(
                f"{file} is missing: the bundle is incomplete, make it anew with `softcall base`"
            )
        require_file(file)
        return file

    @property
    def identity(self) -> BaseIdentity:
        """What a prompt must fit."""
        kv = KvShape(self.num_hidden_layers, self.num_key_value_heads, self.head_dim)
        return BaseIdentity(self.name, self.fingerprint, self.hidden_size, kv, self.max_position_embeddings)

    @property
    def files(self) -> Mapping[str, str]:
        """The sha256 of each file that has one, as paths inside the bundle."""
        hashes = {}
        for variant in self.variants.values():
            hashes |= variant.files
            hashes |= variant.generation.files if variant.generation else {}
        template = self.chat_template_location
        return hashes | ({template.file: template.sha256} if template else {})

    def variant(self, name: str = FULL_PRECISION) -> Variant:
        """Return a variant by name; raises `SoftcallError` naming those that exist."""
        if name not in self.variants:
            raise SoftcallError(
                f"the base {self.name} has no variant {name!r}, only {', '.join(self.variants)}"
            )
        return self.variants[name]

    def trunk(self, variant: str = FULL_PRECISION, threads: int = 0) -> Trunk:
        """Open a variant's graph with ONNX Runtime; `threads` 0 means all cores."""
        described = self.variant(variant)
        for name in described.files:
            self._require_file(name)
        graph = self.folder / described.graph
        with _blamed_on(graph):
            return Trunk(graph, threads)

    def decoder(self, variant: str = FULL_PRECISION, threads: int = 0) -> Decoder:
        """Open a variant's decode graph; raises `SoftcallError` where the variant writes no texts."""
        with _blamed_on(graph := self._generation_graph(variant, "decode")):
            return Decoder(graph, threads)

    def lm_head(self, variant: str = FULL_PRECISION, threads: int = 0) -> LmHead:
        """Open a variant's vocabulary head; raises `SoftcallError` where the variant writes no texts."""
        with _blamed_on(graph := self._generation_graph(variant, "lm_head")):
            return LmHead(graph, threads)

    def _generation_graph(self, variant: str, graph: str) -> Path:
        described = self.variant(variant)
        if described.generation is None:
            raise SoftcallError(f"the variant {variant} of the base {self.name} writes no texts")
        for name in (*described.files, *described.generation.files):
            self._require_file(name)
        return self.folder / getattr(described.generation, graph)

    def golden_of(self, variant: str) -> Golden:
        """Return the golden row with which a variant is compared."""
        own = self.variant(variant).golden
        return (
            self.golden if own is None else replace(self.golden, hidden=own.hidden, tolerance=own.tolerance)
        )

    def check_golden(self, variant: str = FULL_PRECISION) -> float:
        """Run the golden row; return its relative difference, raise `SoftcallError` beyond tolerance.

        Where the variant writes texts, its last token is also decoded, and its logits are compared.
        """
        golden, trunk = self.golden_of(variant), self.trunk(variant)
        difference = golden.difference(trunk)
        self._require_golden("golden row", variant, difference, golden.tolerance)
        if generation := self.variant(variant).generation:
            row = golden.decoded(trunk, self.decoder(variant))
            decoded = relative_difference(row[0], golden.hidden)
            self._require_golden("decoded golden row", variant, decoded, golden.tolerance)
            logits = generation.golden.difference(self.lm_head(variant).logits(row)[0])
            self._require_golden(
                "vocabulary head behind the golden row", variant, logits, generation.golden.tolerance
            )
        return difference

    def _require_golden(self, what: str, variant: str, difference: float, tolerance: float) -> None:
        if not difference <= tolerance:
            raise SoftcallError(
                f"{self.folder}: the {what} of {self.name} {variant} differs by {difference:.1e} of its "
                f"largest element, {tolerance:.0e} is tolerated: damaged weights or kernel"
            )


def _eos_token_ids(record: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the ids that end a text; older bundles name one at most."""
    one = [] if record["eos_token_id"] is None else [record["eos_token_id"]]
    return tuple(record.get("eos_token_ids", one))


def _variant(record: dict[str, Any]) -> Variant:
    golden = record.get("golden")
    if golden is not None:
        golden = VariantGolden(np.array(golden["hidden"], np.float32), golden["tolerance"])
    generation = record.get("generation")
    if generation is not None:
        generation = Generation.from_record(generation)
    return Variant(record["graph"], record["files"], record["kv_layout"], golden, generation)


def _variant_record(variant: Variant) -> dict[str, Any]:
    record = {"graph": variant.graph, "files": dict(variant.files), "kv_layout": variant.kv_layout}
    if variant.golden is not None:
        hidden = [shortest_float(x) for x in variant.golden.hidden]
        record["golden"] = {"hidden": hidden, "tolerance": variant.golden.tolerance}
    if variant.generation is not None:
        record["generation"] = variant.generation.record()
    return record


def read_tokenizer(file: Path) -> Tokenizer:
    """Return the tokenizer of a `tokenizer.json`; it neither truncates nor pads."""
    data = read_bounded(file, MAX_TOKENIZER_BYTES)
    if other := tell(data, accepted=(JSON,)):
        raise SoftcallError(f"{file}: it is {other}; expected a tokenizer")
    with _blamed_on(file):
        return plain_tokenizer(Tokenizer.from_buffer(data))


@contextmanager
def _blamed_on(file: Path) -> Iterator[None]:
    """Turn what a library raises for a damaged file into a `SoftcallError` that names it."""
    try:
        yield
    except Exception as error:  # ONNX Runtime, tokenizers, safetensors and NumPy share no type of error
        reason = " ".join(str(error).split())[:200]
        raise SoftcallError(f"{file}: not what a base bundle has there ({reason})") from error


def plain_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """Switch off truncation and padding, which a `tokenizer.json` may ask for; returns its argument."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _readable(record: dict[str, Any]) -> str:
    """Return JSON with one field per line, and each list of numbers on one line."""
    lists = {}

    def flat(value):
        if isinstance(value, dict):
            return {key: flat(item) for key, item in value.items()}
        if isinstance(value, list):
            key = f"@{len(lists)}@"
            lists[key] = json.dumps(value)
            return key
        return value

    text = json.dumps(flat(record), indent=2, ensure_ascii=False)
    for key, value in lists.items():
        text = text.replace(f'"{key}"', value, 1)
    return text
