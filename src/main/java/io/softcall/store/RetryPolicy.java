package io.softcall.store;

import io.softcall.Backoff;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.time.Duration;
import java.util.function.Supplier;

/**
 * Retries operations on a store or a broker that is unavailable, with exponential backoff.
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
        Backoff backoff = new Backoff(FIRST, LONGEST);
        while (true) {
            try {
                return operation.get();
            } catch (SoftcallException e) {
                if (e.reason() != Reason.STORE_UNAVAILABLE || System.nanoTime() - end > 0) {
                    throw e;
                }
            }
            try {
                backoff.pause();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new SoftcallException(Reason.STOPPING, "the server is stopping", e);
            }
        }
    }
}
