package io.softcall.task;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.ShortBuffer;

/**
 * A prompt's KV cache as the artifact carries it: half-precision floats, [layers, 2, kv_heads, tokens, head_dim], all
 * finite. It stays in its stored form, half as large as what the model needs.
 */
public final class ReadyPrefix {

    private final ShortBuffer values;

    /** Copies the bytes, little-endian, so that they do not keep the artifact in memory. */
    public ReadyPrefix(ByteBuffer bytes) {
        ByteBuffer copy = ByteBuffer.allocate(bytes.remaining()).order(ByteOrder.LITTLE_ENDIAN);
        copy.put(bytes.duplicate()).flip();
        this.values = copy.asShortBuffer().asReadOnlyBuffer();
    }

    /** Bits of half-precision floats, to be read with {@link Float#float16ToFloat}. */
    public ShortBuffer values() {
        return values.duplicate();
    }
}
