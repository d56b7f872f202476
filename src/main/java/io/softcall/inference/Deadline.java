package io.softcall.inference;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The end of a call: its time limit, or its cancellation by the caller. */
public final class Deadline {

    private final Duration limit;
    private final long endNanos;
    private final CompletableFuture<Void> cancellation;

    /**
     * @param limit the time that the call may take from now
     * @param cancellation completes when the caller no longer waits for the answer
     */
    public Deadline(Duration limit, CompletableFuture<Void> cancellation) {
        this.limit = limit;
        this.endNanos = System.nanoTime() + limit.toNanos();
        this.cancellation = cancellation;
    }

    /** Returns the deadline as a value of {@link System#nanoTime}. */
    public long endNanos() {
        return endNanos;
    }

    /** @throws SoftcallException {@code CANCELLED} if the caller has cancelled the call */
    public void check() {
        if (cancellation.isDone()) {
            throw new SoftcallException(Reason.CANCELLED, "the caller cancelled the call");
        }
    }

    /**
     * Waits for a result until the call ends.
     *
     * @param from the source of the result, as error messages name it
     * @throws SoftcallException {@code DEADLINE_EXCEEDED}, {@code CANCELLED}, {@code STOPPING}, or the failure of the result
     */
    public <T> T await(CompletableFuture<T> future, String from) {
        try {
            CompletableFuture.anyOf(future, cancellation)
                    .get(Math.max(0, endNanos - System.nanoTime()), TimeUnit.NANOSECONDS);
            check();
            return future.get();
        } catch (TimeoutException e) {
            throw new SoftcallException(
                    Reason.DEADLINE_EXCEEDED,
                    "no answer from %s within %d ms (softcall.limits.call-time)".formatted(from, limit.toMillis()),
                    e);
        } catch (ExecutionException e) {
            throw failure(e.getCause(), from);
        } catch (InterruptedException e) {
            throw stopping(e);
        }
    }

    /** Waits as {@link #await} does, but without a deadline. */
    static <T> T awaitForever(CompletableFuture<T> future, String from) {
        try {
            return future.get();
        } catch (ExecutionException e) {
            throw failure(e.getCause(), from);
        } catch (InterruptedException e) {
            throw stopping(e);
        }
    }

    /**
     * Returns a failure for this waiter.
     *
     * @param from as for {@link #await}
     */
    public static SoftcallException failure(Throwable cause, String from) {
        return cause instanceof SoftcallException known
                ? known.again()
                : new SoftcallException(Reason.INTERNAL, "%s failed: %s".formatted(from, cause), cause);
    }

    private static SoftcallException stopping(InterruptedException e) {
        Thread.currentThread().interrupt();
        return new SoftcallException(Reason.STOPPING, "the server is stopping", e);
    }
}
