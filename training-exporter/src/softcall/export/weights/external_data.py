"""Writes the external data of a trunk graph: all weights reach a bundle this way, from any source.

A trunk graph without weights names each of them: an initializer has the Hugging Face name of its parameter,
or that name and `.T` if the graph multiplies by the transpose. Weights whose columns lie side by side in one
initializer have their names joined by `+`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from softcall.core.errors import SoftcallError

DATA_ALIGNMENT_BYTES = 4096
"""Weights start at page borders, so that a host can map them into memory."""

TRANSPOSED = ".T"

SIDE_BY_SIDE = "+"
"""Joins the names of weights whose columns lie side by side in one."""


def external_weights(graph: onnx.ModelProto) -> dict[str, ExternalDataInfo]:
    """Return the weights that `graph` expects: name to file, byte offset and length, in file order."""
    weights = {t.name: ExternalDataInfo(t) for t in graph.graph.initializer if uses_external_data(t)}
    return dict(sorted(weights.items(), key=lambda item: item[1].offset))


def full_precision(parameters: Mapping[str, np.ndarray]) -> Callable[[str], np.ndarray]:
    """Return a function from a full-precision graph's weight name to the weight, by `parameters`."""

    def part(name: str) -> np.ndarray:
        array = parameters[name.removesuffix(TRANSPOSED)]
        return array.T if name.endswith(TRANSPOSED) else array

    return beside(part)


def beside(part: Callable[[str], np.ndarray]) -> Callable[[str], np.ndarray]:
    """Return a function that concatenates weights whose joined name it gets; `part` returns each of them."""

    def weight(name: str) -> np.ndarray:
        first, *others = (part(each) for each in name.split(SIDE_BY_SIDE))
        return np.concatenate([first, *others], axis=-1) if others else first

    return weight


def write_weights(
    graph: onnx.ModelProto,
    weight: Callable[[str], np.ndarray],
    folder: Path,
    advance: Callable[[int], None] = lambda bytes_written: None,
) -> None:
    """Write the weights of `graph` into `folder`, at the offsets and in the types of the graph.

    `weight` returns an array by its name in the graph; its `KeyError` names a parameter that the source
    lacks. `advance` gets the bytes of each weight as it is written. Raises `SoftcallError` for a parameter
    that is missing or has another shape.
    """
    tensors = {tensor.name: tensor for tensor in graph.graph.initializer}
    weights = external_weights(graph)
    locations = {info.location for info in weights.values()}
    if len(locations) != 1:
        raise SoftcallError(f"the graph keeps its weights in {sorted(locations)}; one file is expected")
    with (folder / locations.pop()).open("wb") as file:
        for name, info in weights.items():
            try:
                array = weight(name)
            except KeyError as missing:
                raise SoftcallError(
                    f"the graph needs the parameter {missing.args[0]}, which the source does not have"
                ) from None
            if array.shape != (shape := tuple(tensors[name].dims)):
                raise SoftcallError(
                    f"the graph expects {name} of shape {shape}, the source has {array.shape}"
                )
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensors[name].data_type).newbyteorder("<")
            file.seek(info.offset)
            file.write(np.ascontiguousarray(array, dtype=dtype).data)
            advance(info.length)
