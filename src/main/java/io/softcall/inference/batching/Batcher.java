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
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Computes inputs that wait at the same time in one batch: inputs of any callers and tasks whose prefixes have one length.
 *
 * <p>Several threads compute. On a processor each has some of the cores and takes its share of the inputs that wait; but an input
 * that comes alone gets all cores, and others wait for it. On a GPU one thread prepares while another waits. A lone input never waits
 * for company; cores that have just answered others do, for a moment. The guarantees that follow: docs/batching.md.
 *
 * <p>This class is the monitor that all threads share: it decides which batch begins when. {@link FairQueue} knows the turns, {@link
 * BatchSelector} fills a batch, {@link BatchRunner} computes it.
 */
@Singleton
public class Batcher {

    private static final Duration FOREVER = Duration.ofDays(365);
    /** The part of a batch's time for which its cores wait at most until the callers that it answered have come again. */
    private static final double LINGER = 1 / 20.0;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition arrived = lock.newCondition();
    /** Inputs have come, or a batch has ended. */
    private final Condition changed = lock.newCondition();

    /** Guarded by {@code lock}, as all fields below that change. */
    private final FairQueue queue;

    private final DrainRate drainRate = new DrainRate();
    private int computing;
    private boolean computingExclusively;
    /** When the last batch ended. */
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
        this.partitioned = model.device().isPartitioned() && maxBatches > 1;
        this.selector = new BatchSelector(bounds.tokens(), bounds.paddingTokens());
        this.queue = new FairQueue(bounds.queueRows());
        Gauge.builder("softcall.queue.rows", this, Batcher::waiting)
                .description("inputs that wait for a batch")
                .register(metrics);
        this.runner = new BatchRunner(this, model, maxBatches, metrics);
        runner.start();
    }

    /**
     * Queues the inputs of one request: all of them or none.
     *
     * @param prefix the KV cache before each text; the caller holds a reference, and may release it when this returns
     * @param texts token ids, at least one text, at least one token each
     * @param deadlineNanos {@link System#nanoTime} after which no input joins a batch any more
     * @throws SoftcallException {@code OVERLOADED} when they do not fit
     */
    public QueuedRequest submit(TaskName task, Prefix prefix, List<long[]> texts, long deadlineNanos) {
        QueuedRequest request = new QueuedRequest(this, task, prefix, texts, deadlineNanos, true);
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
     * Refuses inputs that {@link #submit} would refuse now, before they have cost anything.
     *
     * @throws SoftcallException {@code OVERLOADED}
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
     * Queues inputs of a caller that bounds by itself how many wait: they are never refused, have no deadline, and take no places
     * from other callers. In the turns they are a request like any other.
     *
     * @param prefix and texts as for {@link #submit}
     */
    public QueuedRequest submitBounded(TaskName task, Prefix prefix, List<long[]> texts) {
        QueuedRequest request =
                new QueuedRequest(this, task, prefix, texts, System.nanoTime() + FOREVER.toNanos(), false);
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

    /** How long the inputs that wait now will take, by the pace of the latest batches. */
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

    /** Waits for inputs, and takes the next batch. */
    Batch next() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (true) {
                expire();
                if (queue.size() > 0 && !computingExclusively) {
                    return begin();
                }
                arrived.await();
            }
        } finally {
            lock.unlock();
        }
    }

    private Batch begin() {
        boolean exclusive = !partitioned || isSolitary();
        int share = partitioned ? Math.ceilDiv(queue.size(), maxBatches - computing) : queue.size();
        Batch batch = new Batch(selector.select(queue.turns(), share), exclusive);
        queue.take(batch.inputs());
        computing++;
        computingExclusively = partitioned && exclusive;
        if (queue.size() > 0) {
            arrived.signal();
        }
        return batch;
    }

    /** Whether the one input that waits found no batch under way when it came. Else others come as often, and cores are shared. */
    private boolean isSolitary() {
        return computing == 0 && queue.size() == 1 && queue.first().submittedNanos() - idleSinceNanos >= 0;
    }

    private void expire() {
        long now = System.nanoTime();
        for (QueuedRequest request : queue.requests()) {
            if (request.deadlineNanos() - now < 0) {
                fail(
                        request,
                        new SoftcallException(Reason.DEADLINE_EXCEEDED, "the call's time was up before its turn came"));
            }
        }
    }

    /** Ends a batch. @return the requests that are complete with it */
    List<QueuedRequest> ended(Batch batch, long nanos) {
        lock.lock();
        try {
            drainRate.record(batch.size(), nanos / computing);
            computing--;
            idleSinceNanos = System.nanoTime();
            changed.signalAll();
            if (computingExclusively) {
                computingExclusively = false;
                arrived.signalAll();
            }
            return batch.inputs().stream()
                    .map(Input::request)
                    .filter(request -> request.finish(1))
                    .toList();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Waits a moment for the callers that a batch has answered, while others are computed. They come again one after the other:
     * without this, the first to come back would have the cores for itself, and an input alone costs more than its share of a batch.
     */
    void awaitCallers(Batch answered, long batchNanos) throws InterruptedException {
        if (!partitioned) {
            return;
        }
        lock.lockInterruptibly();
        try {
            long left = (long) (linger * batchNanos);
            while (computing > 0 && queue.size() < answered.size() && left > 0) {
                left = changed.awaitNanos(left);
            }
        } finally {
            lock.unlock();
        }
    }

    /** Fails what waits: the server is stopping. */
    void stop() {
        waitingRequests()
                .forEach(request -> fail(request, new SoftcallException(Reason.STOPPING, "the server is stopping")));
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
