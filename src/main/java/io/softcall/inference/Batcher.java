package io.softcall.inference;

import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Singleton;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.SequencedSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jboss.logging.Logger;

/**
 * Puts rows that wait at the same time into one run: rows of any callers and tasks whose prefixes have one length.
 *
 * <p>One thread runs the model. It always serves the row that waited longest, and takes along those nearest to it in
 * length for as long as the padded tokens stay within the budget. Nothing ever waits for company: a lone row runs at once.
 */
@Singleton
class Batcher {

    private static final Logger LOG = Logger.getLogger(Batcher.class);

    /**
     * A row's outcome.
     *
     * @param hidden the hidden row at the text's last token
     * @param queuedNanos from submission to the start of the run
     * @param runNanos the run that it shared
     */
    record Output(float[] hidden, long queuedNanos, long runNanos) {}

    private record Row(Model.Sequence sequence, long submittedNanos, CompletableFuture<Output> output) {

        int length() {
            return sequence.ids().length;
        }

        /** Gives the prefix back and answers; a row that was cancelled stays cancelled. */
        void end(Runnable answer) {
            sequence.prefix().release();
            answer.run();
        }
    }

    private final Model model;
    private final int budgetTokens;
    private final int maxRows;
    private final DistributionSummary rowsPerRun;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition arrived = lock.newCondition();
    /** In order of arrival. */
    private final SequencedSet<Row> queue = new LinkedHashSet<>();

    private final Thread runner;
    private volatile boolean closed;

    Batcher(Model model, InferenceConfig config, MeterRegistry metrics) {
        this.model = model;
        this.budgetTokens = config.batch().tokens();
        this.maxRows = config.batch().queueRows();
        this.rowsPerRun = DistributionSummary.builder("softcall.batch.rows")
                .description("rows that shared a run")
                .register(metrics);
        Gauge.builder("softcall.queue.rows", this, Batcher::waiting)
                .description("rows that wait for a run")
                .register(metrics);
        this.runner = Thread.ofPlatform().name("inference").daemon().start(this::serve);
    }

    /**
     * Queues the rows of one call: all of them or none. Each output takes its own reference to the prefix and gives it back.
     * Cancelling an output drops its row if it has not been run yet.
     *
     * @throws SoftcallException {@code OVERLOADED} when they do not fit
     */
    List<CompletableFuture<Output>> submit(List<Model.Sequence> sequences) {
        List<CompletableFuture<Output>> outputs = new ArrayList<>();
        lock.lock();
        try {
            if (queue.size() + sequences.size() > maxRows) {
                throw new SoftcallException(
                        Reason.OVERLOADED,
                        "%d rows wait already, %d more would exceed %d (softcall.batch.queue-rows)"
                                .formatted(queue.size(), sequences.size(), maxRows));
            }
            long now = System.nanoTime();
            for (Model.Sequence sequence : sequences) {
                if (!sequence.prefix().retain()) {
                    throw new IllegalStateException("the caller does not hold the prefix");
                }
                Row row = new Row(sequence, now, new CompletableFuture<>());
                queue.addLast(row);
                outputs.add(row.output());
            }
            arrived.signal();
        } finally {
            lock.unlock();
        }
        return outputs;
    }

    private int waiting() {
        lock.lock();
        try {
            return queue.size();
        } finally {
            lock.unlock();
        }
    }

    private void serve() {
        while (!closed) {
            try {
                run(next());
            } catch (InterruptedException e) {
                break;
            }
        }
        lock.lock();
        try {
            queue.forEach(row -> row.end(() -> row.output().cancel(false)));
            queue.clear();
        } finally {
            lock.unlock();
        }
    }

    /** Waits for rows; the batch is empty when those that waited had been cancelled. */
    private List<Row> next() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (queue.isEmpty()) {
                arrived.await();
            }
            List<Row> cancelled =
                    queue.stream().filter(row -> row.output().isDone()).toList();
            cancelled.forEach(row -> row.end(() -> queue.remove(row)));
            if (queue.isEmpty()) {
                return List.of();
            }
            List<Row> batch = choose(queue.getFirst());
            batch.forEach(queue::remove);
            return batch;
        } finally {
            lock.unlock();
        }
    }

    private List<Row> choose(Row oldest) {
        int prefixTokens = oldest.sequence().prefix().tokens();
        // A stable sort: among equally near rows, those that waited longer.
        List<Row> nearest = queue.stream()
                .filter(row -> row != oldest && row.sequence().prefix().tokens() == prefixTokens)
                .sorted(Comparator.comparingInt(row -> Math.abs(row.length() - oldest.length())))
                .toList();
        List<Row> batch = new ArrayList<>(List.of(oldest));
        long longest = oldest.length();
        for (Row row : nearest) {
            long padded = Math.max(longest, row.length());
            if (padded * (batch.size() + 1) > budgetTokens) {
                break;
            }
            longest = padded;
            batch.add(row);
        }
        return batch;
    }

    private void run(List<Row> batch) {
        if (batch.isEmpty()) {
            return;
        }
        long started = System.nanoTime();
        try {
            float[][] hidden = model.run(batch.stream().map(Row::sequence).toList());
            long nanos = System.nanoTime() - started;
            rowsPerRun.record(batch.size());
            for (int i = 0; i < hidden.length; i++) {
                Row row = batch.get(i);
                Output output = new Output(hidden[i], started - row.submittedNanos(), nanos);
                row.end(() -> row.output().complete(output));
            }
        } catch (RuntimeException | Error e) {
            LOG.errorf(e, "a run of %d rows failed", batch.size());
            batch.forEach(row -> row.end(() -> row.output().completeExceptionally(e)));
        }
    }

    @PreDestroy
    void close() throws InterruptedException {
        closed = true;
        runner.interrupt();
        runner.join();
    }
}
