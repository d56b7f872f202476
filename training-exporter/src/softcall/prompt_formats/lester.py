"""`.npy` files, the format of Lester et al. (2021): one array [tokens, hidden]."""

import io
from math import prod
from pathlib import Path

import numpy as np

from softcall.core.bounded_file import read_bounded
from softcall.core.errors import SoftcallError
from softcall.core.first_bytes import NPY, tell
from softcall.prompt_formats.prompt import Prompt
from softcall.prompt_formats.tensor_file import MAX_BYTES, blamed_on


def recognises(source: Path) -> bool:
    """Whether `source` is a `.npy` file."""
    return source.suffix == ".npy"


def read(source: Path, task_id: int | None) -> Prompt:
    """Return the prompt.

    Raises `SoftcallError` for objects, for numbers other than floats, and for a size that differs from the
    header's.
    """
    data = read_bounded(source, MAX_BYTES)
    with blamed_on(source):
        return Prompt(_array(data), "NumPy array")


def _array(data: bytes) -> np.ndarray:
    if other := tell(data, accepted=(NPY,)):
        raise SoftcallError(f"it is {other}; expected a .npy file")
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, columns_first, dtype = header[version](stream)
    except KeyError:
        raise SoftcallError(f".npy version {version} is not read; expected 1.0 or 2.0") from None
    except Exception as error:  # untrusted bytes raise many types of error
        raise SoftcallError(f"not a .npy file ({' '.join(str(error).split())[:200]})") from None
    if dtype.kind != "f":
        raise SoftcallError(f"holds {dtype}; expected floating-point numbers")
    claimed, present = prod(shape) * dtype.itemsize, len(data) - stream.tell()
    if claimed != present:
        raise SoftcallError(f"its header claims {claimed} bytes of shape {list(shape)}, and {present} follow")
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if columns_first else "C")
