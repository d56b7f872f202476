package io.softcall;

import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/**
 * A few platform threads for one kind of work, and a bounded queue before them. What touches files, hashes, parses or writes much
 * holds the carrier of a virtual thread, of which there is one a core: all calls would wait for it. Here only work of the same
 * kind waits. Threads that have nothing to do end.
 */
public final class Workers {

    private static final Duration IDLE = Duration.ofSeconds(10);
    private static final Duration COME_AGAIN = Duration.ofSeconds(1);

    private final String what;
    private final ThreadPoolExecutor threads;

    /** Something to do. */
    @FunctionalInterface
    public interface Work<T, E extends Exception> {
        T run() throws E;
    }

    /**
     * @param what is done, for the names of threads and for messages: "listings"
     * @param atOnce most that is done at once
     * @param waiting most that may wait
     */
    public Workers(String what, int atOnce, int waiting) {
        this.what = what;
        this.threads = new ThreadPoolExecutor(
                atOnce,
                atOnce,
                IDLE.toMillis(),
                TimeUnit.MILLISECONDS,
                new LinkedBlockingQueue<>(waiting),
                Thread.ofPlatform().name(what + "-", 0).daemon().factory());
        this.threads.allowCoreThreadTimeOut(true);
    }

    /**
     * Does the work on one of the threads, and waits until it is done.
     *
     * @throws E what the work throws
     * @throws SoftcallException {@code OVERLOADED} when too much waits already
     */
    public <T, E extends Exception> T call(Work<T, E> work) throws E {
        FutureTask<T> done = begin(work);
        try {
            return done.get();
        } catch (ExecutionException e) {
            throw failure(e.getCause());
        } catch (InterruptedException e) {
            throw interrupted(done, e);
        }
    }

    /**
     * The same, and gives up when that takes too long; work that cannot be interrupted then goes on for nobody.
     *
     * @param limit for waiting and work
     * @param late what is thrown then
     */
    public <T, E extends Exception> T call(Work<T, E> work, Duration limit, Supplier<SoftcallException> late) throws E {
        FutureTask<T> done = begin(work);
        try {
            return done.get(limit.toNanos(), TimeUnit.NANOSECONDS);
        } catch (ExecutionException e) {
            throw failure(e.getCause());
        } catch (TimeoutException e) {
            cancel(done);
            throw late.get();
        } catch (InterruptedException e) {
            throw interrupted(done, e);
        }
    }

    /** How much waits for a thread now. */
    public int waiting() {
        return threads.getQueue().size();
    }

    private <T, E extends Exception> FutureTask<T> begin(Work<T, E> work) {
        FutureTask<T> task = new FutureTask<>(work::run);
        try {
            threads.execute(task);
        } catch (RejectedExecutionException e) {
            throw SoftcallException.overloaded("too many %s wait already, %d".formatted(what, waiting()), COME_AGAIN);
        }
        return task;
    }

    /** Out of the queue, too: where threads are stuck, nobody would take it out. */
    private void cancel(FutureTask<?> task) {
        task.cancel(true);
        threads.remove(task);
    }

    @SuppressWarnings("unchecked")
    private static <E extends Exception> E failure(Throwable cause) throws E {
        if (cause instanceof Error error) {
            throw error;
        }
        throw (E) cause;
    }

    private SoftcallException interrupted(FutureTask<?> task, InterruptedException e) {
        cancel(task);
        Thread.currentThread().interrupt();
        return new SoftcallException(SoftcallException.Reason.STOPPING, "the server is stopping", e);
    }
}
