package io.softcall.jobs;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.jobs.events.Event;
import io.softcall.jobs.run.Manifest;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** Does the work of events on a few threads. An event that arrives again while it is in progress shares that work. */
final class JobQueue {

    private static final Duration RETRY_AFTER = Duration.ofSeconds(30);

    private final int capacity;
    private final ThreadPoolExecutor executor;
    private final Map<Event, CompletableFuture<Optional<Manifest>>> underWay = new ConcurrentHashMap<>();

    /**
     * @param concurrent maximum number of events in progress
     * @param capacity maximum number of waiting events
     */
    JobQueue(int concurrent, int capacity, MeterRegistry metrics) {
        this.capacity = capacity;
        this.executor = new ThreadPoolExecutor(
                concurrent,
                concurrent,
                1,
                TimeUnit.MINUTES,
                new LinkedBlockingQueue<>(capacity),
                Thread.ofPlatform().name("job-", 0).daemon().factory());
        executor.allowCoreThreadTimeOut(true);
        Gauge.builder("softcall.jobs.running", executor, ThreadPoolExecutor::getActiveCount)
                .description("jobs, or parts of jobs, under way")
                .register(metrics);
    }

    /**
     * Does the work of an event, or waits for the same event that is already in progress.
     *
     * @throws SoftcallException the exception of the work; {@code OVERLOADED} when too many events wait;
     *     {@code STOPPING} when the server stops
     */
    Optional<Manifest> run(Event event, Callable<Optional<Manifest>> work) {
        CompletableFuture<Optional<Manifest>> mine = new CompletableFuture<>();
        CompletableFuture<Optional<Manifest>> done = underWay.computeIfAbsent(event, key -> mine);
        if (done == mine) {
            submit(event, work, mine);
        }
        try {
            return done.get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof SoftcallException known
                    ? known.again()
                    : new SoftcallException(Reason.INTERNAL, "the job failed: " + e.getCause(), e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new SoftcallException(Reason.STOPPING, "the server is stopping", e);
        }
    }

    private void submit(Event event, Callable<Optional<Manifest>> work, CompletableFuture<Optional<Manifest>> done) {
        try {
            executor.execute(() -> {
                try {
                    Optional<Manifest> ended = work.call();
                    underWay.remove(event);
                    done.complete(ended);
                } catch (Exception | Error e) {
                    underWay.remove(event);
                    done.completeExceptionally(e);
                }
            });
        } catch (RejectedExecutionException e) {
            underWay.remove(event);
            done.completeExceptionally(SoftcallException.overloaded(
                    "%d events wait for a job to end, which is the limit (softcall.jobs.waiting)".formatted(capacity),
                    RETRY_AFTER));
        }
    }

    void close() {
        executor.shutdownNow();
    }
}
