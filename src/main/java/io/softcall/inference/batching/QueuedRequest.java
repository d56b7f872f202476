package io.softcall.inference.batching;

import io.softcall.inference.model.Prefix;
import io.softcall.task.TaskName;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * The inputs of one request. They hold one reference to their prefix while any of them waits or is computed. The lock of the
 * {@link Batcher} guards all fields except {@link #outputs}.
 */
public final class QueuedRequest {

    private final Batcher batcher;
    private final TaskName task;
    private final Prefix prefix;
    private final long submittedNanos = System.nanoTime();
    private final long deadlineNanos;
    private final boolean takesPlaces;
    private final Optional<OutputListener> listener;
    private final Deque<Input> waiting = new ArrayDeque<>();
    private final Output[] finished;
    private int unfinished;
    private boolean dropped;

    private final CompletableFuture<List<Output>> outputs = new CompletableFuture<>();

    /**
     * @param texts the token ids of each input
     * @param deadlineNanos the value of {@link System#nanoTime} after which no input joins a batch
     * @param takesPlaces whether the inputs count towards the capacity of the queue
     * @param listener gets each output with the keys and values of its input; empty if nobody wants those
     */
    QueuedRequest(
            Batcher batcher,
            TaskName task,
            Prefix prefix,
            List<long[]> texts,
            long deadlineNanos,
            boolean takesPlaces,
            Optional<OutputListener> listener) {
        this.batcher = batcher;
        this.task = task;
        this.prefix = prefix;
        this.deadlineNanos = deadlineNanos;
        this.takesPlaces = takesPlaces;
        this.listener = listener;
        this.finished = new Output[texts.size()];
        this.unfinished = texts.size();
        for (int i = 0; i < texts.size(); i++) {
            waiting.addLast(new Input(this, i, texts.get(i)));
        }
    }

    /** Completes with one output for each input, in order; exceptionally if a batch failed or the deadline passed. */
    public CompletableFuture<List<Output>> outputs() {
        return outputs;
    }

    /** Removes the inputs that are not in a batch yet from the queue. A batch that has begun continues. */
    public void cancel() {
        batcher.drop(this);
        outputs.cancel(false);
    }

    TaskName task() {
        return task;
    }

    Prefix prefix() {
        return prefix;
    }

    long submittedNanos() {
        return submittedNanos;
    }

    long deadlineNanos() {
        return deadlineNanos;
    }

    boolean takesPlaces() {
        return takesPlaces;
    }

    Optional<OutputListener> listener() {
        return listener;
    }

    /** Returns the inputs that wait for a batch, in order; {@link FairQueue} removes them. */
    Deque<Input> waiting() {
        return waiting;
    }

    /** Records that no further input is to be computed. */
    void drop() {
        dropped = true;
    }

    boolean isDropped() {
        return dropped;
    }

    /** Keeps an output until all are present. */
    void put(Input input, Output output) {
        finished[input.index()] = output;
    }

    /**
     * Records that inputs were computed or dropped, and releases the prefix with the last ones.
     *
     * @return whether they were the last ones
     */
    boolean finish(int inputs) {
        unfinished -= inputs;
        if (unfinished > 0) {
            return false;
        }
        prefix.release();
        return true;
    }

    void complete() {
        outputs.complete(Arrays.asList(finished));
    }

    void fail(Throwable problem) {
        outputs.completeExceptionally(problem);
    }
}
