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
 * A few platform threads for one kind of work, behind a bounded queue. Virtual threads have one carrier a core. Work
 * that touches files, hashes, parses or writes a lot would occupy a carrier, and delay all calls. Here it delays only
 * work of the same kind. Idle threads end.
 */
public final class Workers {

    private static final Duration IDLE = Duration.ofSeconds(10);
    private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

    private final String what;
    private final ThreadPoolExecutor threads;

    /** A task that returns a result. */
    @FunctionalInterface
    public interface Work<T, E extends Exception> {
        T run() throws E;
    }

    /**
     * @param what names the work in thread names and messages, for example "listings"
     * @param atOnce limit of concurrent work
     * @param waiting capacity of the queue
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
     * @throws E the exception that the work throws
     * @throws SoftcallException {@code OVERLOADED} when the queue is full
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
     * Does the work on one of the threads, and waits for it at most for {@code limit}. Work that ignores interruption
     * continues after that, and its result is dropped.
     *
     * @param limit for waiting in the queue and for the work together
     * @param late supplies the exception to throw when the limit is exceeded
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

    /** Returns how many pieces of work wait for a thread now. */
    public int waiting() {
        return threads.getQueue().size();
    }

    private <T, E extends Exception> FutureTask<T> begin(Work<T, E> work) {
        FutureTask<T> task = new FutureTask<>(work::run);
        try {
            threads.execute(task);
        } catch (RejectedExecutionException e) {
            throw SoftcallException.overloaded("too many %s wait already: %d".formatted(what, waiting()), RETRY_AFTER);
        }
        return task;
    }

    /** Cancels the task, and removes it from the queue: when all threads are stuck, none would remove it. */
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
