package io.softcall.inference;

import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.task.TaskName;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jboss.logging.Logger;

/**
 * Puts rows that wait at the same time into one run: rows of any callers and tasks whose prefixes have one length.
 *
 * <p>Several threads run the model. On a processor each has some of the cores and takes its share of the rows that wait, but
 * a row that comes alone gets all cores, and others wait for its run; on a GPU one thread prepares while another waits. Each
 * run is led by the row whose turn it is: tasks take turns, and so do the calls of one task. The leader takes along the rows
 * nearest to it in length, as far as the bounds on a run's tokens and padding allow. A lone row never waits for company; cores
 * that have just answered others do, for a moment. The guarantees that follow: docs/batching.md.
 */
@Singleton
class Batcher {

    private static final Logger LOG = Logger.getLogger(Batcher.class);

    private static final Duration FOREVER = Duration.ofDays(365);
    /** The part of its time for which a run's cores wait at most until the callers that it answered have come again. */
    private static final double PATIENCE = 1 / 20.0;

    /**
     * A row's outcome.
     *
     * @param hidden the hidden row at the text's last token
     * @param queuedNanos from submission to the start of the run
     * @param runNanos the run that it shared
     */
    record Output(float[] hidden, long queuedNanos, long runNanos) {}

    /** The rows of one call. They hold one reference to their prefix for as long as any of them waits or runs. */
    final class Rows {

        private final TaskName task;
        private final Prefix prefix;
        private final long submittedNanos = System.nanoTime();
        private final long deadlineNanos;
        /** Whether they take places that callers may find full. */
        private final boolean counted;

        private final CompletableFuture<List<Output>> outputs = new CompletableFuture<>();
        /** Guarded by {@code lock}, as the two below. */
        private final Deque<Row> waiting = new ArrayDeque<>();

        private final Output[] done;
        private int unfinished;

        private Rows(TaskName task, Prefix prefix, List<long[]> texts, long deadlineNanos, boolean counted) {
            this.task = task;
            this.prefix = prefix;
            this.deadlineNanos = deadlineNanos;
            this.counted = counted;
            this.done = new Output[texts.size()];
            this.unfinished = texts.size();
            for (int i = 0; i < texts.size(); i++) {
                waiting.addLast(new Row(this, i, texts.get(i)));
            }
        }

        /** Completes with one output a row, in order; exceptionally when one of the runs failed or the deadline passed. */
        CompletableFuture<List<Output>> outputs() {
            return outputs;
        }

        /** Takes the rows that were not run yet out of the queue. A run that has begun goes on. */
        void cancel() {
            drop(this);
            outputs.cancel(false);
        }
    }

    private record Row(Rows call, int index, long[] ids) {

        int tokens() {
            return ids.length;
        }
    }

    private final Model model;
    private final Device.Batching config;
    private final DistributionSummary rowsPerRun;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition arrived = lock.newCondition();
    /** Rows have come, or a run has ended. */
    private final Condition changed = lock.newCondition();
    /** The calls that have rows waiting, by task; both in the order in which their turns come. */
    private final SequencedMap<TaskName, Deque<Rows>> queue = new LinkedHashMap<>();

    private int waiting;
    /** The places that they take, all together and by task. */
    private int taken;

    private final Map<TaskName, Integer> places = new HashMap<>();

    private int running;
    private boolean runningAlone;
    /** When the last run ended. */
    private long idleSinceNanos = System.nanoTime();

    private final DrainRate drainRate = new DrainRate();

    private final boolean divided;
    private final double patience;
    private final List<Thread> runners;
    private volatile boolean closed;

    @Inject
    Batcher(Model model, InferenceConfig config, MeterRegistry metrics) {
        this(model, config, metrics, PATIENCE);
    }

    Batcher(Model model, InferenceConfig config, MeterRegistry metrics, double patience) {
        this.model = model;
        this.patience = patience;
        this.config = model.device().batching(config.batch());
        this.divided = model.device().isDivided() && this.config.runs() > 1;
        this.rowsPerRun = DistributionSummary.builder("softcall.batch.rows")
                .description("rows that shared a run")
                .register(metrics);
        Gauge.builder("softcall.queue.rows", this, Batcher::waiting)
                .description("rows that wait for a run")
                .register(metrics);
        this.runners = IntStream.range(0, this.config.runs())
                .mapToObj(number ->
                        Thread.ofPlatform().name("inference-" + number).daemon().start(this::serve))
                .toList();
    }

    /**
     * Queues the rows of one call: all of them or none.
     *
     * @param prefix what stands before each text; the caller holds a reference, and may give it back when this returns
     * @param texts token ids, at least one text, at least one token each
     * @param deadlineNanos {@link System#nanoTime} after which no row is run any more
     * @throws SoftcallException {@code OVERLOADED} when they do not fit
     */
    Rows submit(TaskName task, Prefix prefix, List<long[]> texts, long deadlineNanos) {
        Rows rows = new Rows(task, prefix, texts, deadlineNanos, true);
        lock.lock();
        try {
            admit(task, texts.size());
            enqueue(rows);
        } finally {
            lock.unlock();
        }
        return rows;
    }

    /**
     * Refuses rows that {@link #submit} would refuse now, before they have cost anything.
     *
     * @throws SoftcallException {@code OVERLOADED}
     */
    void requireRoom(TaskName task, int rows) {
        lock.lock();
        try {
            admit(task, rows);
        } finally {
            lock.unlock();
        }
    }

    /**
     * Queues rows of somebody who bounds how many wait: they are never refused, have no deadline, and take no places of the
     * queue from callers. In the turns they are a call like any other.
     *
     * @param prefix and texts as for {@link #submit}
     */
    Rows submitBounded(TaskName task, Prefix prefix, List<long[]> texts) {
        Rows rows = new Rows(task, prefix, texts, System.nanoTime() + FOREVER.toNanos(), false);
        lock.lock();
        try {
            enqueue(rows);
        } finally {
            lock.unlock();
        }
        return rows;
    }

    private void enqueue(Rows rows) {
        if (!rows.prefix.retain()) {
            throw new IllegalStateException("the caller does not hold the prefix");
        }
        queue.computeIfAbsent(rows.task, name -> new ArrayDeque<>()).addLast(rows);
        count(rows, rows.waiting.size());
        arrived.signal();
        changed.signalAll();
    }

    /**
     * A task may hold as many rows of the queue as are free, so whoever floods it leaves room for others (Choudhury and Hahne
     * 1998, Dynamic queue length thresholds).
     */
    private void admit(TaskName task, int rows) {
        int free = config.queueRows() - taken;
        int own = places.getOrDefault(task, 0);
        if (own + rows > free) {
            throw SoftcallException.overloaded(
                    "task \"%s\" has %d rows waiting; with %d more it would have more than the %d that are free of %d (softcall.batch.queue-rows)"
                            .formatted(task, own, rows, free, config.queueRows()),
                    drainRate.timeFor(waiting));
        }
    }

    /** Counts rows that have come to wait, or, below zero, that wait no more. */
    private void count(Rows call, int rows) {
        waiting += rows;
        if (call.counted) {
            taken += rows;
            places.merge(call.task, rows, (before, more) -> before + more == 0 ? null : before + more);
        }
    }

    /** How long the rows that wait now will take, by the pace of the latest runs. */
    Duration backlog() {
        lock.lock();
        try {
            return drainRate.timeFor(waiting);
        } finally {
            lock.unlock();
        }
    }

    private int waiting() {
        lock.lock();
        try {
            return waiting;
        } finally {
            lock.unlock();
        }
    }

    private void drop(Rows call) {
        lock.lock();
        try {
            int dropped = call.waiting.size();
            if (dropped > 0) {
                call.waiting.clear();
                count(call, -dropped);
                tidy();
                finish(call, dropped);
            }
        } finally {
            lock.unlock();
        }
    }

    /** True with the call's last row; its prefix is given back then. */
    private static boolean finish(Rows call, int rows) {
        call.unfinished -= rows;
        if (call.unfinished > 0) {
            return false;
        }
        call.prefix.release();
        return true;
    }

    private void serve() {
        while (!closed) {
            try {
                Run run = next();
                long began = System.nanoTime();
                run(run);
                if (divided) {
                    awaitCallers(run.rows().size(), System.nanoTime() - began);
                }
            } catch (InterruptedException e) {
                break;
            }
        }
        calls().forEach(call -> fail(call, new SoftcallException(Reason.STOPPING, "the server is stopping")));
    }

    private void fail(Rows call, Throwable problem) {
        drop(call);
        call.outputs.completeExceptionally(problem);
    }

    private List<Rows> calls() {
        lock.lock();
        try {
            return queue.values().stream().flatMap(Collection::stream).toList();
        } finally {
            lock.unlock();
        }
    }

    /** Rows that run together; {@code alone}: and no others meanwhile. */
    private record Run(List<Row> rows, boolean alone) {}

    /** Waits for rows, and chooses those of the next run. */
    private Run next() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (true) {
                expire();
                if (waiting > 0 && !runningAlone) {
                    boolean alone = !divided || isLone();
                    List<Row> batch = choose(divided ? Math.ceilDiv(waiting, config.runs() - running) : waiting);
                    take(batch);
                    running++;
                    runningAlone = divided && alone;
                    if (waiting > 0) {
                        arrived.signal();
                    }
                    return new Run(batch, alone);
                }
                arrived.await();
            }
        } finally {
            lock.unlock();
        }
    }

    /** Whether the one row that waits found no run under way when it came. Else others come as often, and cores are shared. */
    private boolean isLone() {
        return running == 0
                && waiting == 1
                && queue.firstEntry().getValue().getFirst().submittedNanos - idleSinceNanos >= 0;
    }

    private void expire() {
        long now = System.nanoTime();
        for (Rows call : calls()) {
            if (call.deadlineNanos - now < 0) {
                fail(
                        call,
                        new SoftcallException(Reason.DEADLINE_EXCEEDED, "the call's time was up before its turn came"));
            }
        }
    }

    private List<Row> choose(int rows) {
        List<Row> inTurn = interleave(queue.values().stream().map(Batcher::inTurn));
        Row leader = inTurn.getFirst();
        // A stable sort: among equally near rows, those whose turn comes earlier.
        List<Row> nearest = inTurn.stream()
                .filter(row ->
                        row.call().prefix.tokens() == leader.call().prefix.tokens())
                .sorted(Comparator.comparingInt(row -> row == leader ? -1 : Math.abs(row.tokens() - leader.tokens())))
                .toList();
        List<Row> batch = new ArrayList<>();
        int longest = leader.tokens();
        long tokens = 0;
        for (Row row : nearest) {
            int stretched = Math.max(longest, row.tokens());
            long padded = (long) stretched * (batch.size() + 1);
            boolean fits = padded <= config.tokens() && padded - tokens - row.tokens() <= config.paddingTokens();
            if (batch.isEmpty() || fits && batch.size() < rows) {
                batch.add(row);
                longest = stretched;
                tokens += row.tokens();
            }
        }
        return batch;
    }

    /**
     * The rows of one task. First one of each call, so that a small call does not wait for a large one; then call by call,
     * because a call is answered when its last row has run, and only then its caller sends the next.
     */
    private static List<Row> inTurn(Deque<Rows> calls) {
        return Stream.concat(
                        calls.stream().map(call -> call.waiting.getFirst()),
                        calls.stream().flatMap(call -> call.waiting.stream().skip(1)))
                .toList();
    }

    /** One of each, in turn, for as long as there are any. */
    private static <T> List<T> interleave(Stream<List<T>> parts) {
        Deque<Iterator<T>> turns = new ArrayDeque<>();
        parts.forEach(part -> turns.addLast(part.iterator()));
        List<T> mixed = new ArrayList<>();
        while (!turns.isEmpty()) {
            Iterator<T> turn = turns.removeFirst();
            if (turn.hasNext()) {
                mixed.add(turn.next());
                turns.addLast(turn);
            }
        }
        return mixed;
    }

    /** Takes the rows out of the queue. The leader's task and call have had their turn and go behind the others. */
    private void take(List<Row> batch) {
        var turn = queue.pollFirstEntry();
        turn.getValue().addLast(turn.getValue().removeFirst());
        queue.putLast(turn.getKey(), turn.getValue());
        for (Row row : batch) {
            row.call().waiting.remove(row);
            count(row.call(), -1);
        }
        tidy();
    }

    private void tidy() {
        queue.values().forEach(calls -> calls.removeIf(call -> call.waiting.isEmpty()));
        queue.values().removeIf(Deque::isEmpty);
    }

    private void run(Run run) {
        List<Row> batch = run.rows();
        long started = System.nanoTime();
        try {
            float[][] hidden = model.run(
                    batch.stream()
                            .map(row -> new Model.Sequence(row.ids(), row.call().prefix))
                            .toList(),
                    run.alone());
            long nanos = System.nanoTime() - started;
            rowsPerRun.record(batch.size());
            for (int i = 0; i < hidden.length; i++) {
                Rows call = batch.get(i).call();
                call.done[batch.get(i).index()] = new Output(hidden[i], started - call.submittedNanos, nanos);
            }
            ended(batch, nanos).forEach(call -> call.outputs.complete(Arrays.asList(call.done)));
        } catch (RuntimeException | Error e) {
            log(batch.size(), e);
            // What is left of these calls is of no use to anybody.
            batch.forEach(row -> fail(row.call(), e));
            ended(batch, System.nanoTime() - started);
        }
    }

    /** One line a run; with a trace only where nobody has said what is the matter. */
    private static void log(int rows, Throwable problem) {
        if (problem instanceof SoftcallException known) {
            LOG.warnf("a run of %d rows failed: %s: %s", rows, known.reason(), known.getMessage());
        } else {
            LOG.errorf(problem, "a run of %d rows failed", rows);
        }
    }

    /**
     * Callers that were answered come again, one after the other. While others run, the cores that answered them wait a moment:
     * else the first to come back would have them for itself, and a row alone costs more than its part of a run.
     */
    private void awaitCallers(int answered, long runNanos) throws InterruptedException {
        lock.lockInterruptibly();
        try {
            long left = (long) (patience * runNanos);
            while (running > 0 && waiting < answered && left > 0) {
                left = changed.awaitNanos(left);
            }
        } finally {
            lock.unlock();
        }
    }

    /** The calls that are complete with these rows. */
    private List<Rows> ended(List<Row> batch, long nanos) {
        lock.lock();
        try {
            drainRate.record(batch.size(), nanos / running);
            running--;
            idleSinceNanos = System.nanoTime();
            changed.signalAll();
            if (runningAlone) {
                runningAlone = false;
                arrived.signalAll();
            }
            return batch.stream().map(Row::call).filter(call -> finish(call, 1)).toList();
        } finally {
            lock.unlock();
        }
    }

    /** The pace of the latest runs: sums in which each run weighs 7/8 of the one after it. */
    private static final class DrainRate {

        private static final double KEEP = 7 / 8.0;

        private double rows;
        private double nanos;

        void record(int rows, long nanos) {
            this.rows = KEEP * this.rows + rows;
            this.nanos = KEEP * this.nanos + nanos;
        }

        /** Zero before the first run. */
        Duration timeFor(int waiting) {
            return Duration.ofNanos(rows == 0 ? 0 : (long) (waiting * nanos / rows));
        }
    }

    @PreDestroy
    void close() throws InterruptedException {
        closed = true;
        runners.forEach(Thread::interrupt);
        for (Thread runner : runners) {
            runner.join();
        }
    }
}
