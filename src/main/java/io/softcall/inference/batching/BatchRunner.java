package io.softcall.inference.batching;

import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.inference.model.Model;
import java.util.List;
import java.util.stream.IntStream;
import org.jboss.logging.Logger;

/** The inference threads. Each takes a batch from the {@link Batcher}, runs the model, and distributes the outputs. */
final class BatchRunner {

    private static final Logger LOG = Logger.getLogger(BatchRunner.class);

    private final Batcher batcher;
    private final Model model;
    private final DistributionSummary batchSizes;
    private final List<Thread> threads;
    private volatile boolean closed;

    /** @param threads the number of batches that are computed at the same time */
    BatchRunner(Batcher batcher, Model model, int threads, MeterRegistry metrics) {
        this.batcher = batcher;
        this.model = model;
        this.batchSizes = DistributionSummary.builder("softcall.batch.rows")
                .description("inputs that shared a batch")
                .register(metrics);
        this.threads = IntStream.range(0, threads)
                .mapToObj(number ->
                        Thread.ofPlatform().name("inference-" + number).daemon().unstarted(this::loop))
                .toList();
    }

    void start() {
        threads.forEach(Thread::start);
    }

    /** Fails waiting inputs with {@code STOPPING}, and waits for the batches that have begun. */
    void close() throws InterruptedException {
        closed = true;
        threads.forEach(Thread::interrupt);
        for (Thread thread : threads) {
            thread.join();
        }
    }

    private void loop() {
        try {
            while (!closed) {
                Batch batch = batcher.next();
                long began = System.nanoTime();
                compute(batch);
                batcher.awaitCallers(batch, System.nanoTime() - began);
            }
        } catch (InterruptedException e) {
            // Only close() interrupts.
        }
        batcher.stop();
    }

    private void compute(Batch batch) {
        long began = System.nanoTime();
        try {
            float[][] hidden =
                    model.forward(batch.inputs().stream().map(Input::sequence).toList(), batch.exclusive());
            long nanos = System.nanoTime() - began;
            batchSizes.record(batch.size());
            for (int i = 0; i < hidden.length; i++) {
                Input input = batch.inputs().get(i);
                input.request()
                        .put(
                                input,
                                new Output(hidden[i], began - input.request().submittedNanos(), nanos));
            }
            batcher.ended(batch, nanos).forEach(QueuedRequest::complete);
        } catch (RuntimeException | Error e) {
            log(batch.size(), e);
            // A request fails as a whole, so its other inputs are dropped.
            batch.inputs().forEach(input -> batcher.fail(input.request(), e));
            batcher.ended(batch, System.nanoTime() - began);
        }
    }

    /** Logs one line per batch, with a stack trace only if the cause is unknown. */
    private static void log(int inputs, Throwable problem) {
        if (problem instanceof SoftcallException known) {
            LOG.warnf("a batch of %d inputs failed: %s: %s", inputs, known.reason(), known.getMessage());
        } else {
            LOG.errorf(problem, "a batch of %d inputs failed", inputs);
        }
    }
}
