package io.softcall.inference.onnx.prefix;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.memory.OnnxRuntime;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Prefix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;

/** The keys and values of all layers, [rows, kv_heads, tokens, head_dim] each, in memory outside the Java heap. */
public final class OnnxPrefix extends Prefix {

    private final Arena arena = Arena.ofShared();
    private final List<MemorySegment> memory = new ArrayList<>();
    private final List<OnnxTensor> tensors = new ArrayList<>();
    private final Runnable freed;

    /**
     * @param freed called once, when the memory was freed, or could not be allocated
     * @throws SoftcallException {@code OUT_OF_MEMORY} if there is not enough memory
     */
    public OnnxPrefix(Bundle bundle, int tokens, PrefixForm.Source values, Runnable freed) throws OrtException {
        this(bundle, 1, tokens, values, freed);
    }

    private OnnxPrefix(Bundle bundle, int rows, int tokens, PrefixForm.Source values, Runnable freed)
            throws OrtException {
        super(tokens, rows * tokens * bundle.kvBytesOfAToken());
        this.freed = freed;
        try {
            for (int i = 0; i < 2 * bundle.layers(); i++) {
                add(bundle, rows, values, i);
            }
        } catch (OutOfMemoryError e) {
            free();
            throw new SoftcallException(
                    Reason.OUT_OF_MEMORY, "there is no memory for a prefix of %,d bytes".formatted(bytes()), e);
        } catch (OrtException | RuntimeException | Error e) {
            free();
            throw e;
        }
    }

    /** Returns zeros for a forward pass to write into. */
    public static OnnxPrefix blank(Bundle bundle, int rows, int tokens) throws OrtException {
        return new OnnxPrefix(bundle, rows, tokens, (index, to) -> {}, () -> {});
    }

    private void add(Bundle bundle, int rows, PrefixForm.Source values, int index) throws OrtException {
        long bytes = bytes() / (2L * bundle.layers());
        // A tensor without elements needs an address, too.
        MemorySegment segment = arena.allocate(Math.max(bytes, Float.BYTES), 64).asSlice(0, bytes);
        FloatBuffer buffer =
                segment.asByteBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer();
        values.copy(index, buffer);
        memory.add(segment);
        tensors.add(OnnxTensor.createTensor(OnnxRuntime.environment(), buffer.rewind(), new long[] {
            rows, bundle.kvHeads(), tokens(), bundle.headDim()
        }));
    }

    public OnnxTensor tensor(int index) {
        return tensors.get(index);
    }

    public FloatBuffer floats(int index) {
        return memory.get(index).asByteBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer();
    }

    public MemorySegment memory(int index) {
        return memory.get(index);
    }

    @Override
    protected void free() {
        tensors.forEach(OnnxTensor::close);
        arena.close();
        freed.run();
    }
}
