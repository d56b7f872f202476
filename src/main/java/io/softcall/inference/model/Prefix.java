package io.softcall.inference.model;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * A prompt's KV cache in the memory of the model that made it. The prefix cache and the requests that use the prefix hold
 * references to it. The memory is freed with the last reference, because freeing it during a forward pass would crash the
 * process.
 */
public abstract class Prefix {

    private final int tokens;
    private final long bytes;
    private final AtomicInteger references = new AtomicInteger(1);

    public Prefix(int tokens, long bytes) {
        this.tokens = tokens;
        this.bytes = bytes;
    }

    /** Returns the number of the prompt's tokens, each of which takes a position. */
    public final int tokens() {
        return tokens;
    }

    /** Returns the bytes that the prefix takes outside the Java heap. */
    public final long bytes() {
        return bytes;
    }

    /** Takes a reference. @return false if the last one was already released */
    public final boolean retain() {
        return references.getAndUpdate(count -> count == 0 ? 0 : count + 1) > 0;
    }

    /** Releases a reference. */
    public final void release() {
        int left = references.decrementAndGet();
        if (left < 0) {
            throw new IllegalStateException("a prefix was released more often than retained");
        }
        if (left == 0) {
            free();
        }
    }

    /** Frees the memory. Called once. */
    protected abstract void free();
}
