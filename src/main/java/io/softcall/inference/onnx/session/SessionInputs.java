package io.softcall.inference.onnx.session;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxTensorLike;
import ai.onnxruntime.OrtException;
import io.softcall.inference.memory.OnnxRuntime;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The input tensors of one forward pass, and their memory. */
public final class SessionInputs implements AutoCloseable {

    private final Arena arena = Arena.ofConfined();
    private final Map<String, OnnxTensorLike> tensors = new HashMap<>();
    private final List<OnnxTensor> owned = new ArrayList<>();

    public Map<String, OnnxTensorLike> tensors() {
        return tensors;
    }

    /** Allocates memory that is freed with this; never zero bytes, because a tensor without elements needs an address too. */
    public MemorySegment allocate(long bytes) {
        return arena.allocate(Math.max(bytes, Long.BYTES), Long.BYTES);
    }

    public void longs(String name, long[] values, long... shape) throws OrtException {
        MemorySegment memory = allocate((long) values.length * Long.BYTES);
        MemorySegment.copy(values, 0, memory, ValueLayout.JAVA_LONG, 0, values.length);
        add(name, memory, OnnxJavaType.INT64, shape);
    }

    public void ints(String name, int[] values, long... shape) throws OrtException {
        MemorySegment memory = allocate((long) values.length * Integer.BYTES);
        MemorySegment.copy(values, 0, memory, ValueLayout.JAVA_INT, 0, values.length);
        add(name, memory, OnnxJavaType.INT32, shape);
    }

    public void floats(String name, float[] values, long... shape) throws OrtException {
        MemorySegment memory = allocate((long) values.length * Float.BYTES);
        MemorySegment.copy(values, 0, memory, ValueLayout.JAVA_FLOAT, 0, values.length);
        add(name, memory, OnnxJavaType.FLOAT, shape);
    }

    /** Sets an input to a tensor over the beginning of {@code memory}. */
    public OnnxTensor add(String name, MemorySegment memory, OnnxJavaType type, long... shape) throws OrtException {
        long bytes = type.size;
        for (long dimension : shape) {
            bytes *= dimension;
        }
        var buffer = memory.asSlice(0, bytes).asByteBuffer().order(ByteOrder.nativeOrder());
        OnnxTensor tensor = OnnxTensor.createTensor(OnnxRuntime.environment(), buffer, shape, type);
        owned.add(tensor);
        tensors.put(name, tensor);
        return tensor;
    }

    /** Sets an input to a tensor that its owner closes. */
    public void put(String name, OnnxTensor tensor) {
        tensors.put(name, tensor);
    }

    @Override
    public void close() {
        owned.forEach(OnnxTensor::close);
        arena.close();
    }
}
