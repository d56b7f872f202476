package io.softcall.task;

import java.nio.FloatBuffer;

/**
 * A KV cache that an artifact holds: [layers, 2, kv_heads, tokens, head_dim], all finite. It is kept on the Java heap in its
 * stored type, which takes half the memory of the model's float32 where it is of half precision.
 *
 * @param tokens the number of tokens that it stands for, at least 1
 */
public record ReadyPrefix(int tokens, StoredFloats values) {

    public ReadyPrefix {
        if (tokens < 1 || values.size() % tokens != 0) {
            throw new IllegalArgumentException("%d values for %d tokens".formatted(values.size(), tokens));
        }
    }

    /** Returns the bytes of the values. */
    public long heapBytes() {
        return values.bytes();
    }

    /** Writes values as float32, beginning with the one at index {@code from}, until the buffer is full. */
    public void copy(int from, FloatBuffer to) {
        values.copy(from, to);
    }
}
