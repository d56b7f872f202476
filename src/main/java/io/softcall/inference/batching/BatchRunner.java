package io.softcall.inference.batching;

import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import java.util.List;
import java.util.Optional;
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
                        Thread.ofPlatform().name("inference-" + number).daemon().unstarted(() -> loop(number)))
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

    private void loop(int thread) {
        try {
            while (!closed) {
                Optional<Batch> batch = batcher.next(thread);
                long began = System.nanoTime();
                if (batch.isEmpty()) {
                    batcher.step(thread);
                    batcher.stepped(thread, System.nanoTime() - began);
                } else {
                    compute(batch.get());
                    batcher.computed(thread, batch.get(), System.nanoTime() - began);
                }
            }
        } catch (InterruptedException e) {
            // Only close() interrupts.
        }
        batcher.stop();
        batcher.stop(thread);
    }

    private void compute(Batch batch) {
        long began = System.nanoTime();
        List<Kept> kept = batch.inputs().stream().map(Kept::new).toList();
        try {
            if (batch.chunk().isPresent()) {
                Input input = batch.inputs().getFirst();
                model.forward(List.of(input.chunk(batch.chunk().getAsInt())), batch.exclusive());
                batcher.endedChunk(batch, System.nanoTime() - began);
                return;
            }
            float[][] hidden = model.forward(kept.stream().map(Kept::sequence).toList(), batch.exclusive());
            long nanos = System.nanoTime() - began;
            batchSizes.record(batch.size());
            for (int i = 0; i < hidden.length; i++) {
                kept.get(i).put(new Output(hidden[i], began - kept.get(i).submittedNanos(), nanos));
            }
            batcher.ended(batch, nanos).forEach(QueuedRequest::complete);
        } catch (RuntimeException | Error e) {
            log(batch.size(), e);
            // A request fails as a whole, so its other inputs are dropped.
            batch.inputs().forEach(input -> batcher.fail(input.request(), e));
            kept.forEach(Kept::drop);
            batcher.ended(batch, System.nanoTime() - began);
        }
    }

    /** An input with the keys and values that its forward pass gives, if its request wants them. */
    private static final class Kept {

        private final Input input;
        private Optional<Prefix> kept = Optional.empty();

        Kept(Input input) {
            this.input = input;
        }

        Model.Sequence sequence() {
            return input.sequence(input.request().listener().map(wanted -> prefix -> kept = Optional.of(prefix)));
        }

        long submittedNanos() {
            return input.request().submittedNanos();
        }

        /** Ends the input without an output. */
        void drop() {
            kept.ifPresent(Prefix::release);
            input.drop();
        }

        void put(Output output) {
            input.release();
            input.request().put(input, output);
            kept.ifPresent(prefix -> input.request().listener().orElseThrow().computed(input.index(), output, prefix));
            kept = Optional.empty();
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
