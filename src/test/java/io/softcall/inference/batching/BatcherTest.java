package io.softcall.inference.batching;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.softcall.CapturedLog;
import io.softcall.ConfigMappings;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.Tiny;
import io.softcall.inference.GatedModel;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.opening.Opening;
import io.softcall.task.SoftPrompt;
import io.softcall.task.TaskName;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Which inputs share a batch, in which order they are computed, and which are never computed. The model is the tiny base. A
 * gate holds the first batch back until the inputs of a test are queued, so that nothing depends on time.
 */
class BatcherTest {

    private static final long NEVER = System.nanoTime() + TimeUnit.DAYS.toNanos(1);

    /** Far more than any test takes, so that a test which waits in vain fails instead of hanging. */
    private static final Duration LIMIT = Duration.ofSeconds(60);

    private static InferenceConfig config;
    private static Model tiny;
    private static Prefix prefix;
    private static Prefix longerPrefix;

    private GatedModel model;
    /** See {@link #holdOneOfTwoRuns}. */
    private CountDownLatch held = new CountDownLatch(0);

    private Batcher batcher;
    private SimpleMeterRegistry metrics;

    @BeforeAll
    static void openTheTinyBase() {
        config = config(1);
        tiny = Opening.open(Bundle.open(Tiny.BASE, "fp32"), config, Opening.Serving.choose(config), Optional.empty());
        prefix = tiny.encode(prompt(4));
        longerPrefix = tiny.encode(prompt(5));
    }

    private static InferenceConfig config(int runs) {
        return ConfigMappings.of(
                InferenceConfig.class,
                Map.of(
                        "softcall.batch.runs", Integer.toString(runs),
                        "softcall.batch.tokens", "1024",
                        "softcall.base.dir", Tiny.BASE.toString(),
                        "softcall.base.variant", "fp32",
                        "softcall.base.cache-dir", Tiny.PACKED.toString()));
    }

    private static SoftPrompt prompt(int tokens) {
        float[] values = new float[tokens * tiny.bundle().hiddenSize()];
        Random random = new Random(tokens);
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextFloat() - .5f;
        }
        return new SoftPrompt(tokens, tiny.bundle().hiddenSize(), values, Optional.empty());
    }

    @AfterAll
    static void close() {
        prefix.release();
        longerPrefix.release();
        tiny.close();
    }

    /** Submits a first input, which waits at the shut gate. Inputs that a test submits now wait until it opens the gate. */
    @BeforeEach
    void holdTheFirstRun() {
        model = new GatedModel(tiny);
        metrics = new SimpleMeterRegistry();
        batcher = new Batcher(model, config, metrics);
        model.shut();
        submit("first", 8);
        model.awaitRun();
    }

    @AfterEach
    void stop() throws InterruptedException {
        model.open();
        held.countDown();
        batcher.close();
    }

    @Test
    void aLoneRowRunsAtOnce() {
        assertEquals(1, model.rows());
        assertEquals(0, waiting());
    }

    @Test
    void rowsThatWaitAreDividedAmongTheRuns() throws Exception {
        partition(2);
        QueuedRequest call = submit("call", 8, 8, 8, 8, 8, 8, 8);
        model.letThrough();
        model.awaitRun();
        model.awaitRun();
        // Either of two concurrent batches may reach the gate first.
        assertEquals(
                List.of(1, 3, 4), model.runs().stream().map(List::size).sorted().toList());
        model.open();
        finish(call);
        assertEquals(List.of(true, false, false), model.exclusive());
    }

    @Test
    void aRowHasAllCoresIfItCameWhenNothingRan() throws Exception {
        partition(2);
        QueuedRequest behind = submit("behind", 8);
        model.open();
        finish(behind);
        finish(submit("lone", 8));
        assertEquals(List.of(true, false, true), model.exclusive());
    }

    /** Starts again with that many concurrent batches. The first input waits at the shut gate, alone in its batch. */
    private void partition(int runs) throws InterruptedException {
        partition(runs, 0);
    }

    private void partition(int runs, double linger) throws InterruptedException {
        stop();
        model = new GatedModel(tiny);
        metrics = new SimpleMeterRegistry();
        batcher = new Batcher(model, config(runs), metrics, linger);
        model.shut();
        submit("first", 8);
        model.awaitRun();
    }

    @Test
    void coresWaitForTheCallersThatTheyAnswered() throws Exception {
        holdOneOfTwoRuns(1e9);
        finish(submit("answered", 8, 8));
        finish(submit("back", 8), submit("too", 8));
        assertEquals(2, model.runs().getLast().size());
    }

    @Test
    void theyWaitForAPartOfTheTimeOfTheirRun() throws Exception {
        holdOneOfTwoRuns(.05);
        finish(submit("answered", 8, 8));
        finish(submit("back", 8));
        assertEquals(1, held.getCount());
    }

    @Test
    void theyDoNotWaitWhenNobodyElseRuns() throws Exception {
        holdOneOfTwoRuns(1e9);
        finish(submit("answered", 8, 8));
        QueuedRequest back = submit("back", 8);
        held.countDown();
        finish(back);
        assertEquals(1, model.runs().getLast().size());
    }

    /** Holds one batch at its gate until {@code held} is counted down or the test ends. The other place is free. */
    private void holdOneOfTwoRuns(double linger) throws InterruptedException {
        partition(2, linger);
        submit("held", 8);
        held = model.letThrough();
        model.awaitRun();
        model.shut();
    }

    @Test
    void aFloodOfOneTaskDelaysAnotherByOneRun() throws Exception {
        flood("flood", 400);
        QueuedRequest other = submit("other", 60);
        finish(other);
        assertTrue(runOf(60) <= 2, () -> "its row was in run " + runOf(60));
    }

    @Test
    void aLargeCallDelaysAnotherOfItsTaskByOneRun() throws Exception {
        submit("task", lengths(256, 30));
        QueuedRequest other = submit("task", 60);
        finish(other);
        assertTrue(runOf(60) <= 2, () -> "its row was in run " + runOf(60));
    }

    @Test
    void callsOfATaskEndOneAfterTheOtherButAllBegin() throws Exception {
        List<List<long[]>> calls =
                Stream.generate(() -> texts(lengths(10, 50))).limit(4).toList();
        finish(calls.stream()
                .map(texts -> batcher.submit(new TaskName("task"), prefix, texts, NEVER))
                .toArray(QueuedRequest[]::new));
        List<long[]> run = model.runs().get(1).stream().map(Model.Sequence::ids).toList();
        assertEquals(
                List.of(10, 8, 1, 1),
                calls.stream()
                        .map(texts -> (int) texts.stream().filter(run::contains).count())
                        .toList());
    }

    /** The i-th input of a request is computed after at most i x (waiting tasks) x (waiting requests of its task) batches. */
    @Test
    void theWaitOfEachRowIsBounded() throws Exception {
        int tasks = 3;
        int calls = 2;
        Random random = new Random(3);
        List<Integer> bounds = new ArrayList<>();
        List<QueuedRequest> submitted = new ArrayList<>();
        List<long[]> texts = new ArrayList<>();
        for (int task = 0; task < tasks; task++) {
            for (int call = 0; call < calls; call++) {
                List<long[]> own = new ArrayList<>();
                // The first request floods the queue with inputs that each fill a batch.
                int rows = task + call == 0 ? 40 : 1 + random.nextInt(6);
                for (int row = 0; row < rows; row++) {
                    own.add(text(random, 1 + random.nextInt(100) + (rows == 40 ? 512 : 0)));
                    bounds.add((row + 1) * tasks * calls);
                }
                texts.addAll(own);
                submitted.add(batcher.submit(new TaskName("task" + task), prefix, own, NEVER));
            }
        }
        model.open();
        List<Output> outputs = new ArrayList<>();
        for (QueuedRequest rows : submitted) {
            outputs.addAll(rows.outputs().get());
        }
        List<List<Model.Sequence>> runs = model.runs();
        for (int row = 0; row < texts.size(); row++) {
            long[] ids = texts.get(row);
            int run = IntStream.range(0, runs.size())
                    .filter(i -> runs.get(i).stream().anyMatch(sequence -> sequence.ids() == ids))
                    .findFirst()
                    .orElseThrow();
            assertTrue(run <= bounds.get(row), "row %d was in run %d".formatted(row, run));
            float[] alone = tiny.forward(List.of(new Model.Sequence(ids, prefix)), true)[0];
            assertArrayEquals(alone, outputs.get(row).hidden(), 1e-4f);
        }
        runs.forEach(BatcherTest::assertBounded);
    }

    private static void assertBounded(List<Model.Sequence> run) {
        int[] lengths = run.stream().mapToInt(sequence -> sequence.ids().length).toArray();
        int padded = Arrays.stream(lengths).max().orElseThrow() * lengths.length;
        assertTrue(padded <= Device.CPU.batching(config.batch()).tokens());
        assertTrue(padded - Arrays.stream(lengths).sum()
                <= Device.CPU.batching(config.batch()).paddingTokens());
    }

    @Test
    void rowsOfAnyTasksShareARunUpToItsTokens() throws Exception {
        List<QueuedRequest> rows = IntStream.range(0, 64)
                .mapToObj(i -> submit("task" + i, i % 2 == 0 ? 32 : 90))
                .toList();
        finish(rows.toArray(new QueuedRequest[0]));
        List<Integer> sizes = model.runs().stream().skip(1).map(List::size).toList();
        assertEquals(List.of(32, 11, 11, 10), sizes);
    }

    @Test
    void anEmptyPlaceIsFilledByTheNearestRows() throws Exception {
        QueuedRequest leader = submit("a", 30);
        QueuedRequest far = submit("b", 80);
        QueuedRequest near = submit("c", 31);
        QueuedRequest shorter = submit("d", 22);
        finish(leader, far, near, shorter);
        assertEquals(
                List.of(List.of(30, 31, 22), List.of(80)),
                model.runs().stream()
                        .skip(1)
                        .map(run -> run.stream()
                                .map(sequence -> sequence.ids().length)
                                .toList())
                        .toList());
    }

    @Test
    void prefixesOfDifferentLengthsNeverShareARun() throws Exception {
        QueuedRequest one = batcher.submit(new TaskName("a"), prefix, texts(20, 20), NEVER);
        QueuedRequest two = batcher.submit(new TaskName("b"), longerPrefix, texts(20, 20), NEVER);
        finish(one, two);
        assertEquals(List.of(1, 2, 2), model.runs().stream().map(List::size).toList());
    }

    @Test
    void cancelledRowsLeaveTheQueueAtOnceAndNeverRun() throws Exception {
        Prefix own = tiny.encode(prompt(4));
        QueuedRequest cancelled = batcher.submit(new TaskName("task"), own, texts(lengths(200, 30)), NEVER);
        own.release();
        QueuedRequest other = submit("task", 30);
        assertEquals(201, waiting());
        cancelled.cancel();
        assertEquals(1, waiting());
        assertFalse(own.retain(), "the prefix is still held");
        assertThrows(CancellationException.class, () -> cancelled.outputs().get());
        finish(other);
        assertEquals(2, model.rows());
    }

    @Test
    void rowsWhoseTimeIsUpNeverRun() throws Exception {
        QueuedRequest late = batcher.submit(new TaskName("task"), prefix, texts(30, 30), System.nanoTime());
        QueuedRequest other = submit("task", 30);
        finish(other);
        assertEquals(Reason.DEADLINE_EXCEEDED, failure(late).reason());
        assertEquals(2, model.rows());
    }

    /** On a GPU without free memory nearly all batches fail under overload. A stack trace for each would fill the log. */
    @Test
    void aRunThatFailsForAKnownReasonIsOneLine() throws Exception {
        try (CapturedLog log = new CapturedLog()) {
            model.breakDown(
                    new SoftcallException(Reason.OUT_OF_MEMORY, "no memory", new IllegalStateException("cuda")));
            QueuedRequest rows = submit("task", 30, 30);
            model.open();
            assertEquals(Reason.OUT_OF_MEMORY, failure(rows).reason());
            List<String> lines = log.lines(Level.INFO);
            assertTrue(
                    lines.contains(
                            "io.softcall.inference.batching.BatchRunner: a batch of 2 inputs failed: OUT_OF_MEMORY: no memory"),
                    lines::toString);
            // The other line is that of the first input's batch.
            assertEquals(2, lines.size(), lines::toString);
        }
    }

    @Test
    void aFloodLeavesRoomForOthersAndIsToldWhenToComeAgain() throws Exception {
        assertEquals(512, flood("flood", 1_000));
        SoftcallException refused = assertThrows(SoftcallException.class, () -> submit("flood", 30));
        assertEquals(Reason.OVERLOADED, refused.reason());
        submit("other", lengths(256, 30));
        assertThrows(SoftcallException.class, () -> submit("other", 30));
        submit("third", lengths(128, 30));
        assertEquals(896, waiting());
        model.open();
        finish(submit("fourth", 30));
        assertTrue(batcher.backlog().compareTo(Duration.ofMinutes(1)) < 0);
    }

    @Test
    void rowsOfJobsAreNeverRefusedAndTakeNoPlacesFromCallers() throws Exception {
        List<QueuedRequest> jobs = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            jobs.add(batcher.submitBounded(new TaskName("task"), prefix, texts(lengths(600, 30))));
        }
        assertEquals(1_800, waiting());
        QueuedRequest sameTask = submit("task", 50);
        QueuedRequest other = submit("other", 60);
        assertEquals(511, flood("task", 1_000));
        finish(sameTask, other);
        assertTrue(runOf(60) <= 2, () -> "the other task's row was in run " + runOf(60));
        assertTrue(runOf(50) <= 8, () -> "the row behind three calls of jobs was in run " + runOf(50));
        for (QueuedRequest job : jobs) {
            assertEquals(600, job.outputs().get().size());
        }
    }

    @Test
    void theBacklogIsTheTimeThatTheWaitingRowsWillTake() throws Exception {
        assertEquals(Duration.ZERO, batcher.backlog());
        QueuedRequest slow = submit("slow", 90);
        TimeUnit.MILLISECONDS.sleep(100);
        model.open();
        finish(slow);
        model.shut();
        submit("gate", 90);
        model.awaitRun();
        submit("task", lengths(40, 30));
        // The first input took more than 100 ms and weighs 7/8 of the second: more than 46 ms for each of the 40
        // waiting inputs.
        assertTrue(
                batcher.backlog().toMillis() >= 40 * 46, () -> batcher.backlog().toString());
    }

    @Test
    void aFailedRunFailsItsCallsAndNoOthers() throws Exception {
        Prefix own = tiny.encode(prompt(4));
        QueuedRequest large = batcher.submit(new TaskName("task"), own, texts(lengths(200, 30)), NEVER);
        own.release();
        model.breakDown();
        model.open();
        ExecutionException e =
                assertThrows(ExecutionException.class, () -> large.outputs().get());
        assertInstanceOf(IllegalStateException.class, e.getCause());
        assertSame(0, waiting());
        batcher.close();
        assertFalse(own.retain(), "the prefix is still held");
    }

    @Test
    void theServersEndFailsWhatWaits() throws Exception {
        QueuedRequest rows = submit("task", 30);
        Thread closing = Thread.startVirtualThread(() -> {
            try {
                batcher.close();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
        assertEquals(Reason.STOPPING, failure(rows).reason());
        closing.join();
    }

    private QueuedRequest submit(String task, int... lengths) {
        return batcher.submit(new TaskName(task), prefix, texts(lengths), NEVER);
    }

    /** Submits requests with one text until one is refused. Returns how many were accepted. */
    private int flood(String task, int calls) {
        for (int i = 0; i < calls; i++) {
            try {
                submit(task, 30);
            } catch (SoftcallException e) {
                return i;
            }
        }
        return calls;
    }

    private void finish(QueuedRequest... calls) throws Exception {
        model.open();
        for (QueuedRequest call : calls) {
            call.outputs().get(LIMIT.toSeconds(), TimeUnit.SECONDS);
        }
    }

    private static SoftcallException failure(QueuedRequest rows) {
        ExecutionException e =
                assertThrows(ExecutionException.class, () -> rows.outputs().get());
        return assertInstanceOf(SoftcallException.class, e.getCause());
    }

    private int waiting() {
        return (int) metrics.get("softcall.queue.rows").gauge().value();
    }

    private int runOf(int length) {
        return IntStream.range(0, model.runs().size())
                .filter(i -> model.runs().get(i).stream().anyMatch(sequence -> sequence.ids().length == length))
                .findFirst()
                .orElseThrow();
    }

    private static int[] lengths(int rows, int length) {
        return Collections.nCopies(rows, length).stream().mapToInt(i -> i).toArray();
    }

    private static List<long[]> texts(int... lengths) {
        Random random = new Random(1);
        return Arrays.stream(lengths).mapToObj(length -> text(random, length)).toList();
    }

    private static long[] text(Random random, int length) {
        return random.longs(length, 1, 50).toArray();
    }
}
