"""The vocabulary head as a graph of its own: from hidden rows to logits.

Its weight is the parameter that the model keeps it in: the input embedding where the two are tied.
"""

import onnx
import onnx_ir as ir

from softcall.base.decoder import LOGITS
from softcall.base.trunk import BATCH, HIDDEN
from softcall.export.graphs.int4 import block_product, byte_weights
from softcall.export.graphs.int8 import quantize_products
from softcall.export.graphs.nodes import CONTRIBUTED, Nodes, new_weight, place_weights
from softcall.export.weights.external_data import TRANSPOSED, external_weights
from softcall.export.weights.variants import LM_HEAD_DATA_FILE


def fp32_lm_head(
    trunk: onnx.ModelProto, parameter: str, vocab_size: int, hidden_size: int
) -> onnx.ModelProto:
    """Return the head of a full-precision trunk, weights left out.

    `parameter` is the head's weight, [vocabulary, hidden]. If the trunk has it, it is read from the trunk's
    data file.
    """
    model, hidden = _empty(trunk, hidden_size)
    weight = new_weight(model.graph, parameter, ir.DataType.FLOAT, [vocab_size, hidden_size])
    _give_logits(
        model.graph, ir.node("Gemm", [hidden, weight], {"transB": 1}, name="lm_head/Gemm"), vocab_size
    )
    _share_weights(model.graph, trunk)
    return ir.serde.serialize_model(model)


def int8_lm_head(
    trunk: onnx.ModelProto, parameter: str, vocab_size: int, hidden_size: int
) -> onnx.ModelProto:
    """Return the head of an int8 trunk, weights left out: a product of integers, as in the trunk's layers.

    Its weights are `<parameter>.T.int8`, int8 [hidden, vocabulary], and `.scale`, float32 [vocabulary].
    """
    model, hidden = _empty(trunk, hidden_size)
    weight = new_weight(model.graph, parameter + TRANSPOSED, ir.DataType.FLOAT, [hidden_size, vocab_size])
    _give_logits(model.graph, ir.node("MatMul", [hidden, weight], name="lm_head/MatMul"), vocab_size)
    quantize_products(model.graph)
    place_weights(model.graph, LM_HEAD_DATA_FILE)
    model.opset_imports[CONTRIBUTED] = 1
    return ir.serde.serialize_model(model)


def int4_lm_head(
    trunk: onnx.ModelProto, parameter: str, vocab_size: int, hidden_size: int
) -> onnx.ModelProto:
    """Return the head of an int4 trunk, weights left out: a product with blocks of 8 bits.

    Its weights are `<parameter>.uint8` [vocabulary, blocks, 32] and `.scale` [vocabulary, blocks]. If the
    trunk has them, they are read from the trunk's data file.
    """
    model, hidden = _empty(trunk, hidden_size)
    weights = byte_weights(model.graph, parameter, vocab_size, hidden_size)
    nodes = Nodes("lm_head")
    block_product(nodes, hidden, weights, hidden_size, bits=8)
    _give_logits(model.graph, nodes.made[0], vocab_size)
    _share_weights(model.graph, trunk)
    model.opset_imports[CONTRIBUTED] = 1
    return ir.serde.serialize_model(model)


def _share_weights(graph: ir.Graph, trunk: onnx.ModelProto) -> None:
    """Give the weights their places in the trunk's data file, or in the head's if the trunk has them not."""
    places = external_weights(trunk)
    place_weights(graph, LM_HEAD_DATA_FILE)
    for weight in graph.initializers.values():
        if place := places.get(weight.name):
            weight.const_value = ir.ExternalTensor(
                place.location, place.offset, place.length, weight.dtype, shape=weight.shape, name=weight.name
            )


def _empty(trunk: onnx.ModelProto, hidden_size: int) -> tuple[ir.Model, ir.Value]:
    """Return a graph of the trunk's versions that takes hidden rows, and this input."""
    hidden = ir.Value(
        name=HIDDEN, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([BATCH, hidden_size])
    )
    opsets = {each.domain: each.version for each in trunk.opset_import if not each.domain}
    graph = ir.Graph([hidden], [], nodes=[], opset_imports=opsets, name="lm_head")
    return ir.Model(graph, ir_version=trunk.ir_version, producer_name=trunk.producer_name), hidden


def _give_logits(graph: ir.Graph, product: ir.Node, vocab_size: int) -> None:
    (logits,) = product.outputs
    logits.name, logits.type = LOGITS, ir.TensorType(ir.DataType.FLOAT)
    logits.shape = ir.Shape([BATCH, vocab_size])
    graph.append(product)
    graph.outputs.append(logits)
