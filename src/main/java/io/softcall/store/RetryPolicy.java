package io.softcall.store;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Supplier;

/**
 * Retries operations on a store or a broker that is unavailable, with exponential backoff. Each pause is a random time from
 * half of its interval to all of it, so that instances do not retry at the same time.
 *
 * @param limit how long to retry; after that the caller gets the failure
 */
public record RetryPolicy(Duration limit) {

    private static final Duration FIRST = Duration.ofMillis(100);
    private static final Duration LONGEST = Duration.ofSeconds(5);

    /**
     * Runs an operation until it succeeds, fails with another reason than {@code STORE_UNAVAILABLE}, or the limit has passed.
     *
     * @throws SoftcallException the failure of the last attempt; {@code STOPPING} if the thread is interrupted
     */
    public <T> T call(Supplier<T> operation) {
        long end = System.nanoTime() + limit.toNanos();
        long intervalMs = FIRST.toMillis();
        while (true) {
            try {
                return operation.get();
            } catch (SoftcallException e) {
                if (e.reason() != Reason.STORE_UNAVAILABLE || System.nanoTime() - end > 0) {
                    throw e;
                }
            }
            try {
                Thread.sleep(intervalMs / 2 + ThreadLocalRandom.current().nextLong(intervalMs / 2 + 1));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new SoftcallException(Reason.STOPPING, "the server is stopping", e);
            }
            intervalMs = Math.min(2 * intervalMs, LONGEST.toMillis());
        }
    }
}
