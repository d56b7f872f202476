package io.softcall.task;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A prompt's KV cache as the artifact carries it: half-precision floats, [layers, 2, kv_heads, tokens, head_dim], all
 * finite. It stays in its stored form, half as large as what the model needs.
 *
 * <p>Arrays and no buffers: the first call of a process goes through all elements before these loops are compiled.
 */
public final class ReadyPrefix {

    private static final int EXPONENT = 0x7c00;

    private final short[] values;

    /**
     * Copies the bytes, little-endian, so that they do not keep the artifact in memory.
     *
     * @param name of the tensor
     * @throws RefusedException when a value is not finite
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

    /** How many values there are. */
    public int size() {
        return values.length;
    }

    /** {@code count} values, beginning with the one at {@code from}. */
    public float[] floats(int from, int count) {
        float[] floats = new float[count];
        for (int i = 0; i < count; i++) {
            floats[i] = Float.float16ToFloat(values[from + i]);
        }
        return floats;
    }
}
