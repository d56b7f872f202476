package io.softcall.task;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A prompt's KV cache from its artifact: half-precision floats, [layers, 2, kv_heads, tokens, head_dim], all finite. It is kept
 * in the stored form, which takes half the memory of the model's form.
 *
 * <p>The values are in an array, not a buffer, because arrays are faster in loops that are not compiled yet. The first call of
 * a process goes through all elements in such loops.
 */
public final class ReadyPrefix {

    private static final int EXPONENT = 0x7c00;

    private final short[] values;

    /**
     * Copies the little-endian bytes, so that this does not keep the artifact in memory.
     *
     * @param name the name of the tensor
     * @throws RefusedException if a value is not finite
     */
    public ReadyPrefix(String name, ByteBuffer bytes) throws RefusedException {
        values = new short[bytes.remaining() / Short.BYTES];
        bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN).asShortBuffer().get(values);
        for (int i = 0; i < values.length; i++) {
            if ((values[i] & EXPONENT) == EXPONENT) {
                throw new RefusedException(
                        "tensor %s holds the value %s at element %d", name, Float.float16ToFloat(values[i]), i);
            }
        }
    }

    /** Returns the number of values. */
    public int size() {
        return values.length;
    }

    /** Returns {@code count} values, beginning with the one at index {@code from}. */
    public float[] floats(int from, int count) {
        float[] floats = new float[count];
        for (int i = 0; i < count; i++) {
            floats[i] = Float.float16ToFloat(values[from + i]);
        }
        return floats;
    }
}
