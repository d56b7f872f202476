"""Reads tensors from untrusted files: sizes are bounded, and no code is executed."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from softcall.artifact.bounds import MAX_TENSORS
from softcall.artifact.safetensors_file import SafetensorsFile
from softcall.core.bounded_file import MAX_SOURCE_BYTES, read_bounded
from softcall.core.errors import SoftcallError
from softcall.core.first_bytes import PICKLE, ZIP, tell

if TYPE_CHECKING:
    from torch import Tensor

MAX_BYTES = MAX_SOURCE_BYTES  # of a file, of what a zip file unpacks to, and of a tensor in float32

_SHOWN_NAMES = 6
_LINK_BYTES = 4096


class Tensors(Protocol):
    """Named tensors, which are converted on access."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tensors."""

    def floats(self, name: str) -> np.ndarray:
        """Return a floating-point tensor; raise `SoftcallError` if it is missing or has another type."""


@dataclass(frozen=True)
class Selection:
    """Some of the tensors of a file."""

    _all: Tensors
    names: tuple[str, ...]

    def floats(self, name: str) -> np.ndarray:
        """Return a tensor of the file."""
        return self._all.floats(name)


def bare(name: str) -> str:
    """Strip the adapter: `prompt_encoder.default.mlp_head.0.bias` and `default.mlp_head.0.bias` end alike."""
    if name.startswith("prompt_encoder."):
        return name.split(".", 2)[-1]
    return name.removeprefix("default.")


@contextmanager
def blamed_on(path: Path) -> Iterator[None]:
    """Prefix errors of the block with `path`."""
    try:
        yield
    except SoftcallError as error:
        raise SoftcallError(f"{path}: {error}") from None


def open_tensors(path: Path) -> Tensors:
    """Return the named tensors of a safetensors file, or of a file of `torch.save`."""
    data = read_bounded(path, MAX_BYTES)
    with blamed_on(path):
        return SafetensorsFile(data) if path.suffix == ".safetensors" else _PickledTensors(_unpickled(data))


def read_bare_tensor(path: Path) -> np.ndarray:
    """Return the only tensor, float32, of a file of `torch.save(tensor, path)`."""
    data = read_bounded(path, MAX_BYTES)
    with blamed_on(path):
        found = _unpickled(data)
        if isinstance(found, dict):
            raise SoftcallError(f"holds named tensors ({shown(map(str, found))}); expected one bare tensor")
        return _array("the tensor", found)


def shown(names: Iterator[str]) -> str:
    """Return the first names, for a message."""
    names = sorted(names)
    rest = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return (", ".join(names[:_SHOWN_NAMES]) or "none") + rest


class _PickledTensors:
    def __init__(self, content: Any) -> None:
        if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
            raise SoftcallError("not a file of named tensors")
        if len(content) > MAX_TENSORS:
            raise SoftcallError(f"holds {len(content)} tensors; at most {MAX_TENSORS} are accepted")
        self._tensors: Mapping[str, Tensor] = content
        self.names = tuple(content)

    def floats(self, name: str) -> np.ndarray:
        if name not in self._tensors:
            raise SoftcallError(f"tensor {name} is missing; it holds {shown(self.names)}")
        return _array(f"tensor {name}", self._tensors[name])


def _unpickled(data: bytes) -> Any:
    """Load `data` with `torch.load`, limited to tensors, because a pickle could otherwise run code."""
    if other := tell(data, accepted=(ZIP, PICKLE)):
        raise SoftcallError(f"it is {other}; expected a file of tensors")
    try:
        import torch
    except ModuleNotFoundError:
        raise SoftcallError("reading it needs PyTorch: pip install 'softcall[torch]'") from None
    _require_no_link(data)
    _require_unpacked_size(data)
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # untrusted bytes raise many types of error
        raise SoftcallError(f"not a file of tensors ({type(error).__name__})") from None


def _require_no_link(data: bytes) -> None:
    """Refuse the text of a symbolic link, which Git writes where links are not supported."""
    if len(data) < _LINK_BYTES and data.endswith((b".pt", b".bin")) and data.isascii() and b"\0" not in data:
        raise SoftcallError(
            f"not a file of tensors but the text of a link to {data.decode()!r}; give that file instead"
        )


def _require_unpacked_size(data: bytes) -> None:
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise SoftcallError(f"not a file of tensors ({type(error).__name__})") from None
    if size > MAX_BYTES:
        raise SoftcallError(f"unpacks to {size} bytes; at most {MAX_BYTES} are accepted")


def _array(what: str, tensor: Any) -> np.ndarray:
    """Return a copy in float32. The shape is checked first: few bytes can claim any shape (zero strides)."""
    import torch

    if not isinstance(tensor, torch.Tensor):
        raise SoftcallError(f"{what} is of type {type(tensor).__name__}; expected a tensor")
    if not tensor.is_floating_point() or tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise SoftcallError(
            f"{what} holds {tensor.dtype} as {tensor.layout} on {tensor.device};"
            " expected floating-point numbers one by one"
        )
    if 4 * tensor.numel() > MAX_BYTES:
        raise SoftcallError(f"{what} has shape {list(tensor.shape)}; at most {MAX_BYTES} bytes are accepted")
    return tensor.detach().float().numpy().copy()
