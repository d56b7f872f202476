package io.softcall.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

class RetryPolicyTest {

    private final AtomicInteger attempts = new AtomicInteger();

    private Supplier<String> failing(Reason reason, int times) {
        return () -> {
            if (attempts.incrementAndGet() <= times) {
                throw new SoftcallException(reason, "attempt " + attempts);
            }
            return "done";
        };
    }

    /** The pauses are at least half of 100, 200 and 400 ms. */
    @Test
    void anUnavailableStoreIsAskedAgainAfterPausesThatGrow() {
        long began = System.nanoTime();
        assertEquals("done", new RetryPolicy(Duration.ofMinutes(1)).call(failing(Reason.STORE_UNAVAILABLE, 3)));
        assertTrue(System.nanoTime() - began >= Duration.ofMillis(350).toNanos());
        assertEquals(4, attempts.get());
    }

    @Test
    void behindTheLimitTheCallerGetsTheLastFailure() {
        SoftcallException failure = assertThrows(SoftcallException.class, () -> new RetryPolicy(Duration.ofMillis(200))
                .call(failing(Reason.STORE_UNAVAILABLE, Integer.MAX_VALUE)));
        assertEquals("attempt " + attempts, failure.getMessage());
        assertTrue(attempts.get() >= 2 && attempts.get() <= 4, () -> "attempts: " + attempts);
    }

    @Test
    void anotherFailureIsNotRetried() {
        SoftcallException failure = assertThrows(SoftcallException.class, () -> new RetryPolicy(Duration.ofMinutes(1))
                .call(failing(Reason.STORE_DENIED, 3)));
        assertEquals(Reason.STORE_DENIED, failure.reason());
        assertEquals(1, attempts.get());
    }

    @Test
    void anInterruptedThreadStopsAndStaysInterrupted() throws InterruptedException {
        AtomicReference<Object> outcome = new AtomicReference<>();
        Thread thread = Thread.ofVirtual().start(() -> {
            try {
                new RetryPolicy(Duration.ofMinutes(1)).call(failing(Reason.STORE_UNAVAILABLE, Integer.MAX_VALUE));
            } catch (SoftcallException e) {
                outcome.set(e.reason() + " " + Thread.currentThread().isInterrupted());
            }
        });
        while (attempts.get() == 0) {
            Thread.sleep(1);
        }
        thread.interrupt();
        thread.join();
        assertEquals(Reason.STOPPING + " true", outcome.get());
    }
}
