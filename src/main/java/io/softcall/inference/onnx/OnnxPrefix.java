package io.softcall.inference.onnx;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import io.softcall.inference.memory.OnnxRuntime;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Prefix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;

/** The keys and values of all layers, [1, kv_heads, tokens, head_dim] each, in memory outside the Java heap. */
final class OnnxPrefix extends Prefix {

    private final Arena arena = Arena.ofShared();
    private final List<MemorySegment> memory = new ArrayList<>();
    private final List<OnnxTensor> tensors = new ArrayList<>();

    OnnxPrefix(Bundle bundle, int tokens, PrefixForm.Source values) throws OrtException {
        super(tokens, 2L * bundle.layers() * bundle.kvHeads() * tokens * bundle.headDim() * Float.BYTES);
        for (int i = 0; i < 2 * bundle.layers(); i++) {
            MemorySegment segment = arena.allocate(bytes() / (2L * bundle.layers()), 64);
            FloatBuffer buffer =
                    segment.asByteBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer();
            values.copy(i, buffer);
            memory.add(segment);
            tensors.add(OnnxTensor.createTensor(OnnxRuntime.environment(), buffer.rewind(), new long[] {
                1, bundle.kvHeads(), tokens, bundle.headDim()
            }));
        }
    }

    OnnxTensor tensor(int index) {
        return tensors.get(index);
    }

    MemorySegment memory(int index) {
        return memory.get(index);
    }

    @Override
    protected void free() {
        tensors.forEach(OnnxTensor::close);
        arena.close();
    }
}
