package io.softcall.inference.decoding;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.softcall.ConfigMappings;
import io.softcall.Tiny;
import io.softcall.inference.batching.Batcher;
import io.softcall.inference.batching.Output;
import io.softcall.inference.batching.OutputListener;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.opening.Opening;
import io.softcall.inference.sampling.Workspace;
import io.softcall.task.TaskName;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Sequences that join, pause and leave lanes beside batches, with the tiny base. */
class LanesTest {

    private static final TaskName TASK = new TaskName("task");
    private static final int PLACES = 5;
    private static final int POSITIONS = 128;

    private final Random random = new Random(7);
    private Model model;
    private Batcher batcher;
    private Lanes lanes;
    private Prefix none;

    @BeforeEach
    void open() {
        InferenceConfig config = ConfigMappings.of(
                InferenceConfig.class,
                Map.of(
                        "softcall.base.cache-dir", Tiny.PACKED.toString(),
                        "softcall.threads", "2",
                        "softcall.batch.runs", "2"));
        model = Opening.open(Bundle.open(Tiny.BASE, "fp32"), config, Opening.Serving.choose(config), Optional.empty());
        batcher = new Batcher(model, config, new SimpleMeterRegistry());
        lanes = new Lanes(model, batcher, PLACES, POSITIONS, Duration.ofMillis(50));
        none = model.none();
    }

    @AfterEach
    void close() throws InterruptedException {
        batcher.close();
        none.release();
        model.close();
    }

    /** A sequence of a number of tokens, whose caller may pause and cancel it. */
    private final class Greedy implements TokenChooser {

        private final int most;
        private final List<Integer> tokens = new ArrayList<>();
        private final CountDownLatch over = new CountDownLatch(1);
        private final AtomicInteger timesLeft = new AtomicInteger();
        private volatile State state = State.WANTED;
        private Optional<DecodedSequence> parked = Optional.empty();
        private volatile Throwable problem;

        Greedy(int most) {
            this.most = most;
        }

        @Override
        public OptionalInt next(float[] logits, int offset, Workspace workspace) {
            int best = 0;
            for (int i = 1; i < model.bundle().vocabulary(); i++) {
                best = logits[offset + i] > logits[offset + best] ? i : best;
            }
            tokens.add(best);
            return tokens.size() == most ? OptionalInt.empty() : OptionalInt.of(best);
        }

        @Override
        public State state() {
            return state;
        }

        @Override
        public synchronized void parked(DecodedSequence sequence) {
            if (state == State.PAUSED) {
                parked = Optional.of(sequence);
            } else {
                lanes.add(sequence);
            }
        }

        void set(State next) {
            Optional<DecodedSequence> resumed;
            synchronized (this) {
                state = next;
                resumed = next == State.PAUSED ? Optional.empty() : parked;
                parked = next == State.PAUSED ? parked : Optional.empty();
            }
            resumed.ifPresent(lanes::add);
        }

        @Override
        public void left() {
            timesLeft.incrementAndGet();
            over.countDown();
        }

        @Override
        public void fail(Throwable failure) {
            problem = failure;
        }

        Greedy await() throws InterruptedException {
            assertTrue(over.await(60, TimeUnit.SECONDS), "it never left");
            assertEquals(1, timesLeft.get());
            return this;
        }
    }

    /** Reads a text, and decodes behind it. */
    private void start(Greedy chooser, long[] ids) {
        batcher.submitBounded(TASK, none, List.of(ids), new OutputListener() {

            @Override
            public void computed(int index, Output output, Prefix kept) {
                lanes.add(new DecodedSequence(chooser, chooser, output.hidden(), kept));
            }

            @Override
            public void dropped(int index) {
                chooser.left();
            }
        });
    }

    private long[] text(int tokens) {
        return random.longs(tokens, 0, model.bundle().vocabulary()).toArray();
    }

    @Test
    void aSequenceAmongOthersIsTheSameAsAlone() throws Exception {
        List<long[]> texts = new ArrayList<>();
        List<List<Integer>> alone = new ArrayList<>();
        for (int i = 0; i < 24; i++) {
            texts.add(text(1 + random.nextInt(60)));
            Greedy chooser = new Greedy(1 + i);
            start(chooser, texts.get(i));
            alone.add(chooser.await().tokens);
        }
        List<Greedy> together = new ArrayList<>();
        for (int i = 0; i < texts.size(); i++) {
            together.add(new Greedy(1 + i));
            start(together.get(i), texts.get(i));
            batcher.submitBounded(TASK, none, List.of(text(50)));
        }
        for (int i = 0; i < texts.size(); i++) {
            assertEquals(alone.get(i), together.get(i).await().tokens);
        }
        assertEquals(0, lanes.load());
    }

    @Test
    void aPausedSequenceGoesOnWhereItWas() throws Exception {
        long[] ids = text(20);
        Greedy alone = new Greedy(40);
        start(alone, ids);
        alone.await();
        Greedy paused = new Greedy(40);
        start(paused, ids);
        for (int i = 0; i < 20; i++) {
            paused.set(TokenChooser.State.PAUSED);
            Thread.sleep(1);
            paused.set(TokenChooser.State.WANTED);
        }
        assertEquals(alone.tokens, paused.await().tokens);
    }

    /** Places and memory are free again, whenever callers go. */
    @Test
    void noPlaceIsLostByTenThousandCancellations() throws Exception {
        List<Greedy> all = new ArrayList<>();
        for (int i = 0; i < 10_000; i++) {
            Greedy chooser = new Greedy(1 + random.nextInt(6));
            all.add(chooser);
            start(chooser, text(1 + random.nextInt(4)));
            Greedy victim = all.get(Math.max(0, all.size() - 1 - random.nextInt(40)));
            victim.set(TokenChooser.State.values()[random.nextInt(3)]);
            if (i % 64 == 63) {
                all.stream().skip(Math.max(0, all.size() - 200L)).forEach(each -> {
                    if (each.state == TokenChooser.State.PAUSED) {
                        each.set(TokenChooser.State.CANCELLED);
                    }
                });
                chooser.set(TokenChooser.State.CANCELLED);
                chooser.await();
            }
        }
        for (Greedy chooser : all) {
            chooser.set(TokenChooser.State.CANCELLED);
            chooser.await();
        }
        assertEquals(0, lanes.load());
        assertTrue(all.stream().allMatch(chooser -> chooser.problem == null));
        Greedy last = new Greedy(3);
        start(last, text(3));
        assertEquals(3, last.await().tokens.size());
    }

    @Test
    void aStoppingServerFailsItsSequences() throws Exception {
        Greedy endless = new Greedy(Integer.MAX_VALUE);
        Greedy paused = new Greedy(Integer.MAX_VALUE);
        paused.set(TokenChooser.State.PAUSED);
        start(endless, text(3));
        Thread.sleep(20);
        batcher.close();
        assertTrue(endless.await().problem != null || endless.tokens.size() > POSITIONS - 4);
    }
}
