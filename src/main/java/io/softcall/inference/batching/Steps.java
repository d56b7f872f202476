package io.softcall.inference.batching;

import java.time.Duration;

/**
 * Work that the inference threads do between batches, one step after the other: decoding. Batches and steps get half of a
 * thread's time each when both wait.
 */
public interface Steps {

    /** Returns whether a thread has a step to do. Does not block. */
    boolean isReady(int thread);

    /** Returns whether any thread has one, or is at it. Does not block. */
    boolean isActive();

    /** Does one step of a thread. It must not throw. */
    void step(int thread);

    /** Returns how long a batch may keep steps waiting. */
    Duration maxPause();

    /** Ends all work of a thread, because the server is stopping. The thread calls it last. */
    void stop(int thread);
}
