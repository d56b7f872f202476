package io.softcall.inference.onnx.prefix;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.util.concurrent.Semaphore;

/**
 * The bound on memory for prefixes, counted in their tokens. The cache of prefixes bounds those that it holds. This bounds them
 * together with those that were evicted while calls still use them, and with one that is being made. Who makes a prefix waits
 * for its places, in the order of arrival. They become free, because forward passes end.
 */
public final class PrefixRoom {

    private final int cached;
    private final int places;
    private final Semaphore free;

    /**
     * @param cached the number of tokens that the cache may hold, at least 1
     * @param others the number of tokens for all other prefixes; a prefix that takes no more never waits for the cache
     */
    public PrefixRoom(long cached, long others) {
        this.cached = Math.clamp(cached, 1, Integer.MAX_VALUE / 2);
        this.places = this.cached + Math.clamp(others, 1, Integer.MAX_VALUE / 2);
        this.free = new Semaphore(places, true);
    }

    /** Returns the number of all places. */
    public int places() {
        return places;
    }

    /** Returns how many places a prefix takes where a long one may have more memory: at most as many as the cache has. */
    public int bounded(int tokens) {
        return Math.min(tokens, cached);
    }

    /**
     * Takes places, and waits until they are free.
     *
     * @throws SoftcallException {@code OUT_OF_MEMORY} if there are never as many; {@code STOPPING} if the thread is interrupted
     */
    public void take(int tokens) {
        if (tokens > places) {
            throw new SoftcallException(
                    Reason.OUT_OF_MEMORY,
                    "a prefix of %d tokens is longer than the %d for which there is memory (softcall.prefix.cache-bytes)"
                            .formatted(tokens, places));
        }
        try {
            free.acquire(tokens);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new SoftcallException(Reason.STOPPING, "the server is stopping", e);
        }
    }

    public void giveBack(int tokens) {
        free.release(tokens);
    }

    /** Returns the number of places that are taken. */
    public int taken() {
        return places - free.availablePermits();
    }
}
