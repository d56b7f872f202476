package io.softcall.store;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Supplier;

/**
 * Asks a store, or a broker, again while it does not answer, at intervals that double, each a random share of itself so that
 * instances do not ask in step.
 *
 * @param limit how long; after that the failure is the caller's
 */
public record RetryPolicy(Duration limit) {

    private static final Duration FIRST = Duration.ofMillis(100);
    private static final Duration LONGEST = Duration.ofSeconds(5);

    /** @throws SoftcallException what the last try threw; what is not {@code STORE_UNAVAILABLE}, at once */
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
