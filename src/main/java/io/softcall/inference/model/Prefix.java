package io.softcall.inference.model;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * A prompt's KV cache in the memory of the model that made it. The cache that keeps it and every row that runs behind it
 * hold a reference; the memory is given back with the last one, because freeing it under a run would crash the process.
 */
public abstract class Prefix {

    private final int tokens;
    private final long bytes;
    private final AtomicInteger references = new AtomicInteger(1);

    public Prefix(int tokens, long bytes) {
        this.tokens = tokens;
        this.bytes = bytes;
    }

    /** Positions that the prompt takes. */
    public final int tokens() {
        return tokens;
    }

    /** Memory outside the Java heap. */
    public final long bytes() {
        return bytes;
    }

    /** Takes a reference; false when the last one is already gone. */
    public final boolean retain() {
        return references.getAndUpdate(count -> count == 0 ? 0 : count + 1) > 0;
    }

    /** Gives a reference back. */
    public final void release() {
        int left = references.decrementAndGet();
        if (left < 0) {
            throw new IllegalStateException("a prefix was released more often than retained");
        }
        if (left == 0) {
            free();
        }
    }

    /** Gives the memory back. Called once. */
    protected abstract void free();
}
