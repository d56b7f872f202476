package io.softcall.inference.batching;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.task.TaskName;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Computes waiting inputs in batches. Inputs of any callers and tasks may share a batch if their prefixes have the same length.
 *
 * <p>Several threads compute batches. On a processor each thread has some of the cores and takes its share of the waiting
 * inputs. An input that arrives alone gets all cores, and later inputs wait for it. On a GPU one thread prepares a batch while
 * another one computes. A lone input never waits for others. Cores that have just answered a batch wait for a short time for
 * the next requests. docs/batching.md lists the guarantees.
 *
 * <p>This class is the monitor that all threads share. It decides when a batch begins. {@link FairQueue} keeps the turns,
 * {@link BatchSelector} selects the inputs of a batch, and {@link BatchRunner} computes it.
 */
@Singleton
public class Batcher {

    private static final Duration FOREVER = Duration.ofDays(365);
    /** The longest wait for the next requests of answered callers, as a fraction of the batch's computing time. */
    private static final double LINGER = 1 / 20.0;

    private static final int PAUSES_OF_NEW_ANSWERS = 3;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition arrived = lock.newCondition();
    /** Signalled when inputs arrive and when a batch ends. */
    private final Condition changed = lock.newCondition();

    /** Guarded by {@code lock}, like all mutable fields below. */
    private final FairQueue queue;

    private final DrainRate drainRate = new DrainRate();
    private final TokenRate tokenRate = new TokenRate();
    /** The work between batches; empty until text is first written. */
    private Optional<Steps> steps = Optional.empty();
    /** By how much writing is ahead of other texts on each thread, in nanoseconds: its steps, and the batches of new answers. */
    private final long[] writingAhead;
    /** Whether the last work of each thread was to read new answers. */
    private final boolean[] hasRead;

    private int computing;
    private boolean computingExclusively;
    /** The time when the last batch ended. */
    private long idleSinceNanos = System.nanoTime();

    private final int maxBatches;
    private final BatchSelector selector;
    private final boolean partitioned;
    private final double linger;
    private final BatchRunner runner;

    @Inject
    public Batcher(Model model, InferenceConfig config, MeterRegistry metrics) {
        this(model, config, metrics, LINGER);
    }

    Batcher(Model model, InferenceConfig config, MeterRegistry metrics, double linger) {
        Device.Batching bounds = model.device().batching(config.batch());
        this.linger = linger;
        this.maxBatches = bounds.runs();
        this.writingAhead = new long[maxBatches];
        this.hasRead = new boolean[maxBatches];
        this.partitioned = model.device().isPartitioned() && maxBatches > 1;
        this.selector = new BatchSelector(bounds.tokens(), bounds.paddingTokens(), bounds.prefixTokens());
        this.queue = new FairQueue(bounds.queueRows());
        Gauge.builder("softcall.queue.rows", this, Batcher::waiting)
                .description("inputs that wait for a batch")
                .register(metrics);
        this.runner = new BatchRunner(this, model, maxBatches, metrics);
        runner.start();
    }

    /**
     * Queues all inputs of one request, or none of them.
     *
     * @param prefix the KV cache before each input; the caller holds a reference, which it may release when this method returns
     * @param texts the token ids of each input; at least one input with at least one token each
     * @param deadlineNanos the value of {@link System#nanoTime} after which no input joins a batch
     * @throws SoftcallException {@code OVERLOADED} if the queue has too few free places
     */
    public QueuedRequest submit(TaskName task, Prefix prefix, List<long[]> texts, long deadlineNanos) {
        QueuedRequest request = new QueuedRequest(this, task, prefix, texts, deadlineNanos, true, Optional.empty());
        lock.lock();
        try {
            queue.requirePlaces(task, texts.size(), drainRate::timeFor);
            enqueue(request);
        } finally {
            lock.unlock();
        }
        return request;
    }

    /**
     * Refuses inputs that {@link #submit} would refuse now, before any work is done for them.
     *
     * @throws SoftcallException {@code OVERLOADED} if the queue has too few free places
     */
    public void requireRoom(TaskName task, int inputs) {
        lock.lock();
        try {
            queue.requirePlaces(task, inputs, drainRate::timeFor);
        } finally {
            lock.unlock();
        }
    }

    /**
     * Queues inputs of a caller that bounds the number of its waiting inputs. They are never refused, have no deadline, and
     * take no places from other callers. They take turns like any other request.
     *
     * @param prefix as for {@link #submit}
     * @param texts as for {@link #submit}
     */
    public QueuedRequest submitBounded(TaskName task, Prefix prefix, List<long[]> texts) {
        return submitBounded(task, prefix, texts, Optional.empty());
    }

    /**
     * Queues inputs as {@link #submitBounded(TaskName, Prefix, List)} does, for a caller that wants the keys and values of each
     * of them.
     */
    public QueuedRequest submitBounded(TaskName task, Prefix prefix, List<long[]> texts, OutputListener listener) {
        return submitBounded(task, prefix, texts, Optional.of(listener));
    }

    private QueuedRequest submitBounded(
            TaskName task, Prefix prefix, List<long[]> texts, Optional<OutputListener> listener) {
        QueuedRequest request =
                new QueuedRequest(this, task, prefix, texts, System.nanoTime() + FOREVER.toNanos(), false, listener);
        lock.lock();
        try {
            enqueue(request);
        } finally {
            lock.unlock();
        }
        return request;
    }

    private void enqueue(QueuedRequest request) {
        if (!request.prefix().retain()) {
            throw new IllegalStateException("the caller does not hold the prefix");
        }
        queue.add(request);
        arrived.signal();
        changed.signalAll();
    }

    /** Estimates how long the waiting inputs will take, from the rate of the latest batches. */
    public Duration backlog() {
        lock.lock();
        try {
            return drainRate.timeFor(queue.size());
        } finally {
            lock.unlock();
        }
    }

    private int waiting() {
        lock.lock();
        try {
            return queue.size();
        } finally {
            lock.unlock();
        }
    }

    void drop(QueuedRequest request) {
        lock.lock();
        try {
            request.drop();
            int dropped = queue.remove(request);
            if (dropped > 0) {
                request.finish(dropped);
            }
        } finally {
            lock.unlock();
        }
    }

    void fail(QueuedRequest request, Throwable problem) {
        drop(request);
        request.fail(problem);
    }

    /** Returns the number of threads that compute batches, and do steps between them. */
    public int threads() {
        return maxBatches;
    }

    /** Lets the threads do steps between batches from now on. Called once. */
    public void interleave(Steps work) {
        lock.lock();
        try {
            steps = Optional.of(work);
        } finally {
            lock.unlock();
        }
        wakeForSteps();
    }

    /** Wakes the threads, because one of them has steps to do. */
    public void wakeForSteps() {
        lock.lock();
        try {
            arrived.signalAll();
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Waits for work of a thread. @return the next batch; empty if the thread is to do a step */
    Optional<Batch> next(int thread) throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (true) {
                expire();
                boolean batch = queue.size() > 0 && !computingExclusively;
                boolean step = hasStep(thread) && !computingExclusively;
                if (batch && step && !isTurnOfBatch(thread)) {
                    // Another thread may be free for the batch.
                    arrived.signal();
                    return Optional.empty();
                }
                if (batch != step) {
                    writingAhead[thread] = 0;
                }
                if (batch) {
                    return Optional.of(begin());
                }
                if (step) {
                    return Optional.empty();
                }
                arrived.await();
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * Returns whether a batch comes next, where a step is waiting too. Writing and other texts get half of the time each. Steps
     * and batches that read new answers alternate.
     */
    private boolean isTurnOfBatch(int thread) {
        return readsAnswers(queue.first()) ? !hasRead[thread] : writingAhead[thread] >= 0;
    }

    private static boolean readsAnswers(QueuedRequest request) {
        return request.listener().isPresent();
    }

    private boolean hasStep(int thread) {
        return steps.isPresent() && steps.get().isReady(thread);
    }

    private Batch begin() {
        boolean stepping = steps.isPresent() && steps.get().isActive();
        boolean exclusive = !partitioned || !stepping && isSolitary();
        int share = partitioned ? Math.ceilDiv(queue.size(), maxBatches - computing) : queue.size();
        OptionalInt pause = stepping ? OptionalInt.of(tokenRate.tokensIn(pause())) : OptionalInt.empty();
        BatchSelector bounded = pause.isPresent() ? selector.within(pause.getAsInt()) : selector;
        List<Input> inputs = bounded.select(queue.turns(), share);
        boolean chunked = pause.isPresent() && inputs.getFirst().tokens() > pause.getAsInt();
        Batch batch = new Batch(inputs, chunked ? pause : OptionalInt.empty(), exclusive);
        queue.take(batch.inputs());
        computing++;
        computingExclusively = partitioned && exclusive;
        if (queue.size() > 0) {
            arrived.signal();
        }
        return batch;
    }

    /**
     * Returns how long the next batch may keep steps waiting. The texts of new answers come in smaller pieces than those of other
     * callers, because each answer that ends makes room for a new one.
     */
    private Duration pause() {
        Duration longest = steps.orElseThrow().maxPause();
        return readsAnswers(queue.first()) ? longest.dividedBy(PAUSES_OF_NEW_ANSWERS) : longest;
    }

    /**
     * Returns whether exactly one input waits, and no batch was in progress when it arrived. Only then does an input get all
     * cores.
     */
    private boolean isSolitary() {
        return computing == 0 && queue.size() == 1 && queue.first().submittedNanos() - idleSinceNanos >= 0;
    }

    private void expire() {
        long now = System.nanoTime();
        for (QueuedRequest request : queue.requests()) {
            if (request.deadlineNanos() - now < 0) {
                fail(
                        request,
                        new SoftcallException(
                                Reason.DEADLINE_EXCEEDED, "the deadline of the call passed before its turn came"));
            }
        }
    }

    /** Ends a chunk. The rest of its input comes next, unless its request was cancelled or has failed meanwhile. */
    void endedChunk(Batch chunk, long nanos) {
        Input input = chunk.inputs().getFirst();
        lock.lock();
        try {
            ended(chunk.tokens(), nanos);
            if (input.request().isDropped()) {
                input.request().finish(1);
                input.drop();
                return;
            }
            queue.putBack(input);
            arrived.signal();
        } finally {
            lock.unlock();
        }
    }

    /** Ends a batch. @return the requests whose last input was in it */
    List<QueuedRequest> ended(Batch batch, long nanos) {
        int tokens = batch.tokens();
        lock.lock();
        try {
            drainRate.record(batch.size(), nanos / computing);
            ended(tokens, nanos);
            return batch.inputs().stream()
                    .map(Input::request)
                    .filter(request -> request.finish(1))
                    .toList();
        } finally {
            lock.unlock();
        }
    }

    private void ended(int tokens, long nanos) {
        tokenRate.record(tokens, nanos);
        computing--;
        idleSinceNanos = System.nanoTime();
        changed.signalAll();
        if (computingExclusively) {
            computingExclusively = false;
            arrived.signalAll();
        }
    }

    /** Does a step of a thread. */
    void step(int thread) {
        steps.orElseThrow().step(thread);
    }

    /** Counts the time of a step. */
    void stepped(int thread, long nanos) {
        lock.lock();
        try {
            writingAhead[thread] += nanos;
            hasRead[thread] = false;
            idleSinceNanos = System.nanoTime();
        } finally {
            lock.unlock();
        }
    }

    /** Counts the time of a batch, and waits for the next requests of its callers if there is no other work. */
    void computed(int thread, Batch batch, long nanos) throws InterruptedException {
        lock.lock();
        try {
            hasRead[thread] = readsAnswers(batch.inputs().getFirst().request());
            writingAhead[thread] += hasRead[thread] ? nanos : -nanos;
        } finally {
            lock.unlock();
        }
        awaitCallers(thread, batch, nanos);
    }

    /**
     * Waits for a short time for the next requests of the callers that a batch has answered, while other batches are computed.
     * These requests arrive one after the other. Without the wait, the first one would be computed alone, which costs more than
     * its share of a batch.
     */
    private void awaitCallers(int thread, Batch answered, long batchNanos) throws InterruptedException {
        if (!partitioned) {
            return;
        }
        lock.lockInterruptibly();
        try {
            long left = (long) (linger * batchNanos);
            while (computing > 0 && queue.size() < answered.size() && left > 0 && !hasStep(thread)) {
                left = changed.awaitNanos(left);
            }
        } finally {
            lock.unlock();
        }
    }

    /** Fails all waiting inputs, because the server is stopping. */
    void stop() {
        waitingRequests()
                .forEach(request -> fail(request, new SoftcallException(Reason.STOPPING, "the server is stopping")));
    }

    /** Ends the steps of a thread, because the server is stopping. */
    void stop(int thread) {
        interleaved().ifPresent(work -> work.stop(thread));
    }

    private Optional<Steps> interleaved() {
        lock.lock();
        try {
            return steps;
        } finally {
            lock.unlock();
        }
    }

    private List<QueuedRequest> waitingRequests() {
        lock.lock();
        try {
            return queue.requests();
        } finally {
            lock.unlock();
        }
    }

    @PreDestroy
    public void close() throws InterruptedException {
        runner.close();
    }
}
