package io.softcall.inference;

import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.inference.batching.Batcher;
import io.softcall.inference.batching.Output;
import io.softcall.inference.batching.QueuedRequest;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.model.Tokenizer;
import io.softcall.task.StoredTask;
import io.softcall.task.Task;
import io.softcall.task.catalog.Tasks;
import jakarta.inject.Singleton;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;

/** Classifies requests: revalidates the task, tokenizes, fetches the prefix, computes and scores. */
@Singleton
public class Classifier {

    private final Tokenizer tokenizer;
    private final Prefixes prefixes;
    private final Batcher batcher;
    private final InferenceConfig.Limits limits;
    private final InputLimits inputLimits;
    private final Semaphore calls;
    private final StageTimers stages;
    private final Speculation<Attempt> speculation;

    Classifier(
            Model model,
            Tasks tasks,
            Tokenizer tokenizer,
            Prefixes prefixes,
            Batcher batcher,
            InferenceConfig config,
            MeterRegistry metrics) {
        this.tokenizer = tokenizer;
        this.prefixes = prefixes;
        this.batcher = batcher;
        this.limits = config.limits();
        this.inputLimits = new InputLimits(limits, tokenizer, model);
        this.calls = new Semaphore(limits.calls());
        this.stages = new StageTimers(metrics);
        this.speculation = new Speculation<>(tasks, prefixes);
    }

    /**
     * Classifies all inputs of a request with one version of the task, or fails.
     *
     * @param cancellation completes when the caller no longer waits for the answer; inputs that are not in a batch yet are
     *     then dropped
     * @throws SoftcallException if there is no answer; its reason says why
     */
    public Classification classify(ClassificationRequest request, CompletableFuture<Void> cancellation) {
        admit(request);
        if (!calls.tryAcquire()) {
            throw SoftcallException.overloaded(
                    "%d calls are under way, as many as allowed (softcall.limits.calls)".formatted(limits.calls()),
                    batcher.backlog());
        }
        try {
            Deadline deadline = new Deadline(limits.callTime(), cancellation);
            Classification answer = speculation.run(
                    request.task(), deadline, stored -> new Attempt(stored, request, deadline), validated -> validated
                            .attempt()
                            .finish(deadline, validated));
            stages.record(answer.timings());
            return answer;
        } finally {
            calls.release();
        }
    }

    /**
     * Refuses a request that {@link #classify} would refuse now, before any work is done for it. Does not wait.
     *
     * @throws SoftcallException {@code OVERLOADED}, {@code INVALID_REQUEST} or {@code TEXT_TOO_LONG}
     */
    public void admit(ClassificationRequest request) {
        inputLimits.check(request);
        batcher.requireRoom(request.task(), request.inputs().size());
    }

    /** The outcome of one input of {@link #start}: an answer, or a problem with this input only. */
    public sealed interface Outcome {

        record Answered(Classification.Prediction prediction) implements Outcome {}

        record Refused(SoftcallException problem) implements Outcome {}
    }

    /**
     * Starts to classify inputs with a version of a task that the caller holds. The store does not revalidate it. The
     * caller bounds the number of its inputs in progress, so they have no deadline and are never refused because the queue
     * is full. Blocks until the inputs are queued.
     *
     * @param stored not needed any more when this returns
     * @param inputs each has one text, or two for a task on pairs
     * @param truncateTokens as in {@link ClassificationRequest}
     */
    public Started start(StoredTask stored, List<List<String>> inputs, OptionalInt truncateTokens) {
        Started started = new Started(stored.task());
        for (List<String> texts : inputs) {
            started.add(texts, truncateTokens);
        }
        started.submit(stored);
        return started;
    }

    /** Inputs in progress, some of which may have been refused already. */
    public final class Started {

        private final Task task;
        private final List<long[]> ids = new ArrayList<>();
        /** The problem of each input; empty for inputs that are computed. */
        private final List<Optional<SoftcallException>> problems = new ArrayList<>();

        private Optional<QueuedRequest> queued = Optional.empty();

        private Started(Task task) {
            this.task = task;
        }

        private void add(List<String> texts, OptionalInt truncateTokens) {
            try {
                inputLimits.check("the row", texts);
                int limit = inputLimits.tokens(task, truncateTokens);
                ids.add(tokenizer.encode(task.classification().template(), texts, limit, truncateTokens.isPresent()));
                problems.add(Optional.empty());
            } catch (SoftcallException e) {
                problems.add(Optional.of(e));
            }
        }

        private void submit(StoredTask stored) {
            if (ids.isEmpty()) {
                return;
            }
            Prefix prefix = prefixes.acquireBounded(stored, future -> Deadline.awaitForever(future, "the encoder"));
            try {
                queued = Optional.of(batcher.submitBounded(task.name(), prefix, ids));
            } finally {
                prefix.release();
            }
        }

        /**
         * Waits for the outcomes, without a deadline.
         *
         * @return one outcome for each input, in order
         * @throws SoftcallException if a batch failed, or the server is stopping
         */
        public List<Outcome> await() {
            List<Output> outputs = queued.map(waiting -> Deadline.awaitForever(waiting.outputs(), "the model"))
                    .orElse(List.of());
            List<Outcome> outcomes = new ArrayList<>();
            int computed = 0;
            for (Optional<SoftcallException> problem : problems) {
                if (problem.isPresent()) {
                    outcomes.add(new Outcome.Refused(problem.get()));
                } else {
                    outcomes.add(outcome(outputs.get(computed).hidden(), ids.get(computed).length));
                    computed++;
                }
            }
            return outcomes;
        }

        private Outcome outcome(float[] hidden, int tokens) {
            try {
                return new Outcome.Answered(Scoring.score(task, hidden, tokens));
            } catch (SoftcallException e) {
                return new Outcome.Refused(e);
            }
        }

        /** Drops the inputs that are not in a batch yet. */
        public void cancel() {
            queued.ifPresent(QueuedRequest::cancel);
        }
    }

    /**
     * The inputs of a request with one version of the task. Holds the prefix of its prompt, but not the prompt. Keeps a failure
     * until {@link #finish} is called.
     */
    private final class Attempt implements Speculation.Attempt {

        private final Task task;
        private final List<long[]> ids = new ArrayList<>();
        private Optional<QueuedRequest> queued = Optional.empty();
        private Optional<RuntimeException> failure = Optional.empty();
        private long tokenizeNanos;
        private long prefixNanos;

        Attempt(StoredTask stored, ClassificationRequest request, Deadline deadline) {
            this.task = stored.task();
            try {
                start(stored, request, deadline);
            } catch (RuntimeException e) {
                failure = Optional.of(e);
            }
        }

        @Override
        public Task task() {
            return task;
        }

        private void start(StoredTask stored, ClassificationRequest request, Deadline deadline) {
            long began = System.nanoTime();
            tokenize(request, deadline);
            long tokenized = System.nanoTime();
            Prefix prefix = prefixes.acquire(stored, future -> deadline.await(future, "the encoder"));
            try {
                prefixNanos = System.nanoTime() - tokenized;
                tokenizeNanos = tokenized - began;
                deadline.check();
                queued = Optional.of(batcher.submit(task.name(), prefix, ids, deadline.endNanos()));
            } finally {
                prefix.release();
            }
        }

        private void tokenize(ClassificationRequest request, Deadline deadline) {
            OptionalInt truncate = request.truncateTokens();
            int limit = inputLimits.tokens(task, truncate);
            for (int i = 0; i < request.inputs().size(); i++) {
                deadline.check();
                try {
                    ids.add(tokenizer.encode(
                            task.classification().template(), request.inputs().get(i), limit, truncate.isPresent()));
                } catch (SoftcallException e) {
                    throw new SoftcallException(e.reason(), "input[%d]: %s".formatted(i, e.getMessage()), e);
                }
                // Native code blocks the carrier of this virtual thread, so other virtual threads run between inputs.
                Thread.yield();
            }
        }

        Classification finish(Deadline deadline, Speculation.Validated<Attempt> validated) {
            failure.ifPresent(e -> {
                throw e;
            });
            List<Output> outputs = deadline.await(queued.orElseThrow().outputs(), "the model");
            List<Classification.Prediction> predictions = new ArrayList<>();
            long queue = 0;
            long computed = 0;
            for (int i = 0; i < outputs.size(); i++) {
                Output output = outputs.get(i);
                queue = Math.max(queue, output.queuedNanos());
                computed = Math.max(computed, output.queuedNanos() + output.batchNanos());
                predictions.add(Scoring.score(task, output.hidden(), ids.get(i).length));
            }
            return new Classification(
                    task,
                    validated.staleness(),
                    predictions,
                    new Classification.Timings(
                            validated.fetchNanos(), tokenizeNanos, prefixNanos, queue, computed - queue));
        }

        @Override
        public void cancel() {
            queued.ifPresent(QueuedRequest::cancel);
        }
    }
}
