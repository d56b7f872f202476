package io.softcall.inference.onnx;

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

/** The keys and values of all layers, [1, kv_heads, tokens, head_dim] each, in memory outside the Java heap. */
final class OnnxPrefix extends Prefix {

    private final Arena arena = Arena.ofShared();
    private final List<MemorySegment> memory = new ArrayList<>();
    private final List<OnnxTensor> tensors = new ArrayList<>();
    private final Runnable freed;

    /**
     * @param freed called once, when the memory was freed, or could not be allocated
     * @throws SoftcallException {@code OUT_OF_MEMORY} if there is not enough memory
     */
    OnnxPrefix(Bundle bundle, int tokens, PrefixForm.Source values, Runnable freed) throws OrtException {
        super(tokens, tokens * bytesOfAToken(bundle));
        this.freed = freed;
        try {
            for (int i = 0; i < 2 * bundle.layers(); i++) {
                add(bundle, values, i);
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

    private void add(Bundle bundle, PrefixForm.Source values, int index) throws OrtException {
        MemorySegment segment = arena.allocate(bytes() / (2L * bundle.layers()), 64);
        FloatBuffer buffer =
                segment.asByteBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer();
        values.copy(index, buffer);
        memory.add(segment);
        tensors.add(OnnxTensor.createTensor(
                OnnxRuntime.environment(), buffer.rewind(), new long[] {1, bundle.kvHeads(), tokens(), bundle.headDim()
                }));
    }

    /** Returns the bytes that a token takes in all layers. */
    static long bytesOfAToken(Bundle bundle) {
        return 2L * bundle.layers() * bundle.kvHeads() * bundle.headDim() * Float.BYTES;
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
        freed.run();
    }
}
