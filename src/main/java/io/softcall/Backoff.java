package io.softcall;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Exponential backoff: the interval between attempts doubles up to a longest one. Each pause is a random time from half of its
 * interval to all of it, so that instances do not retry at the same time. Not safe for use by several threads.
 */
public final class Backoff {

    private final long longestMs;
    private long intervalMs;

    /** @param first the first interval, at least 2 ms */
    public Backoff(Duration first, Duration longest) {
        this.intervalMs = first.toMillis();
        this.longestMs = longest.toMillis();
    }

    /** Waits before the next attempt. */
    public void pause() throws InterruptedException {
        Thread.sleep(intervalMs / 2 + ThreadLocalRandom.current().nextLong(intervalMs / 2 + 1));
        intervalMs = Math.min(2 * intervalMs, longestMs);
    }
}
