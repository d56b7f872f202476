"""Fill the external data of a trunk graph: the one way weights reach a bundle, from whatever source.

A trunk graph without weights names every one of them: an initializer is called by the Hugging Face name of
its parameter, or by that name and `.T` where the graph multiplies by the transpose.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from softcall.errors import SoftcallError

DATA_ALIGNMENT_BYTES = 4096
"""Weights start at page borders, so that a host can map them into memory."""

TRANSPOSED = ".T"


def external_weights(graph: onnx.ModelProto) -> dict[str, ExternalDataInfo]:
    """Return the weights that `graph` expects: name to file, byte offset and length, in file order."""
    weights = {t.name: ExternalDataInfo(t) for t in graph.graph.initializer if uses_external_data(t)}
    return dict(sorted(weights.items(), key=lambda item: item[1].offset))


def write_weights(
    graph: onnx.ModelProto,
    parameters: Mapping[str, np.ndarray],
    folder: Path,
    advance: Callable[[int], None] = lambda bytes_written: None,
) -> None:
    """Write the weights of `graph` into `folder`, at the offsets that the graph states.

    `parameters` maps Hugging Face names to arrays and is asked for one at a time. `advance` is told the bytes
    of each weight as it is written. Raises `SoftcallError` for a parameter that is missing or of another
    shape.
    """
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.graph.initializer}
    weights = external_weights(graph)
    locations = {info.location for info in weights.values()}
    if len(locations) != 1:
        raise SoftcallError(f"the graph keeps its weights in {sorted(locations)}; one file is expected")
    with (folder / locations.pop()).open("wb") as file:
        for name, info in weights.items():
            parameter = name.removesuffix(TRANSPOSED)
            if parameter not in parameters:
                raise SoftcallError(
                    f"the graph needs the parameter {parameter}, which the source does not have"
                )
            array = parameters[parameter]
            array = array.T if name.endswith(TRANSPOSED) else array
            if array.shape != shapes[name]:
                raise SoftcallError(
                    f"the graph expects {name} of shape {shapes[name]}, the source has {array.shape}"
                )
            file.seek(info.offset)
            file.write(np.ascontiguousarray(array, dtype="<f4").data)
            advance(info.length)
