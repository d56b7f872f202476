package io.softcall.inference;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import io.softcall.task.Tasks;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * One call: asks the store whether the cached prompt still is the stored one and, at the same time, runs the text behind
 * it. If the store says yes the answer stands; if it has another version, that one is run.
 */
@Singleton
public class Classifier {

    private final Model model;
    private final Tasks tasks;
    private final Tokenizer tokenizer;
    private final Prefixes prefixes;
    private final Batcher batcher;
    private final InferenceConfig.Limits limits;
    private final Semaphore calls;
    private final Stages stages;

    Classifier(
            Model model,
            Tasks tasks,
            Tokenizer tokenizer,
            Prefixes prefixes,
            Batcher batcher,
            InferenceConfig config,
            MeterRegistry metrics) {
        this.model = model;
        this.tasks = tasks;
        this.tokenizer = tokenizer;
        this.prefixes = prefixes;
        this.batcher = batcher;
        this.limits = config.limits();
        this.calls = new Semaphore(limits.calls());
        this.stages = new Stages(metrics);
    }

    /**
     * What to classify.
     *
     * @param items each has one text, or two for a task on pairs
     * @param truncateTokens cut texts to this many tokens, template included; empty: refuse long texts
     */
    public record Call(TaskName task, List<List<String>> items, OptionalInt truncateTokens) {}

    /**
     * Classifies all items of a call with one version of the task, or fails.
     *
     * @throws SoftcallException whatever stands in the way
     */
    public Classification classify(Call call) {
        check(call);
        if (!calls.tryAcquire()) {
            throw new SoftcallException(
                    Reason.OVERLOADED,
                    "%d calls are under way, as many as allowed (softcall.limits.calls)".formatted(limits.calls()));
        }
        try {
            Classification answer = run(call, new Deadline(limits.callTime()));
            stages.record(answer.timings());
            return answer;
        } finally {
            calls.release();
        }
    }

    private void check(Call call) {
        if (call.items().isEmpty() || call.items().size() > limits.texts()) {
            throw SoftcallException.invalid(
                    "input has %d texts, expected 1 to %d (softcall.limits.texts)",
                    call.items().size(), limits.texts());
        }
        for (int i = 0; i < call.items().size(); i++) {
            for (String text : call.items().get(i)) {
                if (text.isBlank()) {
                    throw SoftcallException.invalid("input[%d] has an empty text", i);
                }
                if (text.length() > limits.characters()) {
                    throw new SoftcallException(
                            Reason.TEXT_TOO_LONG,
                            "input[%d] has %d characters, at most %d are accepted (softcall.limits.characters)"
                                    .formatted(i, text.length(), limits.characters()));
                }
            }
        }
    }

    private Classification run(Call call, Deadline deadline) {
        long began = System.nanoTime();
        CompletableFuture<Tasks.Proven> question = tasks.revalidate(call.task());
        CompletableFuture<Long> proven = question.thenApply(answer -> System.nanoTime() - began);
        Optional<Attempt> guess = tasks.guess(call.task()).map(task -> new Attempt(task, call));
        try {
            Tasks.Proven fresh = deadline.await(question, "the store");
            Attempt attempt = guess.filter(
                            made -> made.task.version().equals(fresh.task().version()))
                    .orElseGet(() -> new Attempt(fresh.task(), call));
            try {
                return attempt.finish(deadline, fresh.staleness(), deadline.await(proven, "the store"));
            } finally {
                attempt.cancel();
            }
        } finally {
            guess.ifPresent(Attempt::cancel);
        }
    }

    /** A run of the call's texts with one version of the task; a failure is kept until somebody asks for the outcome. */
    private final class Attempt {

        private final Task task;
        private final List<long[]> ids = new ArrayList<>();
        private List<CompletableFuture<Batcher.Output>> outputs = List.of();
        private Optional<RuntimeException> failure = Optional.empty();
        private long tokenizeNanos;
        private long prefixNanos;

        Attempt(Task task, Call call) {
            this.task = task;
            try {
                start(call);
            } catch (RuntimeException e) {
                failure = Optional.of(e);
            }
        }

        private void start(Call call) {
            long began = System.nanoTime();
            int positions = model.bundle().maxPositions() - task.prompt().tokens();
            int limit = Math.min(
                    Math.min(limits.tokens(), positions), call.truncateTokens().orElse(Integer.MAX_VALUE));
            for (int i = 0; i < call.items().size(); i++) {
                try {
                    ids.add(tokenizer.encode(
                            task.template(),
                            call.items().get(i),
                            limit,
                            call.truncateTokens().isPresent()));
                } catch (SoftcallException e) {
                    throw new SoftcallException(e.reason(), "input[%d]: %s".formatted(i, e.getMessage()), e);
                }
            }
            long tokenized = System.nanoTime();
            Prefix prefix = prefixes.acquire(task);
            try {
                prefixNanos = System.nanoTime() - tokenized;
                tokenizeNanos = tokenized - began;
                outputs = batcher.submit(ids.stream()
                        .map(text -> new Model.Sequence(text, prefix))
                        .toList());
            } finally {
                prefix.release();
            }
        }

        Classification finish(Deadline deadline, Optional<Duration> staleness, long fetchNanos) {
            failure.ifPresent(e -> {
                throw e;
            });
            List<Classification.Row> rows = new ArrayList<>();
            long queued = 0;
            long run = 0;
            for (int i = 0; i < outputs.size(); i++) {
                Batcher.Output output = deadline.await(outputs.get(i), "the model");
                queued = Math.max(queued, output.queuedNanos());
                run = Math.max(run, output.queuedNanos() + output.runNanos());
                rows.add(Scoring.score(task, output.hidden(), ids.get(i).length));
            }
            return new Classification(
                    task,
                    staleness,
                    rows,
                    new Classification.Timings(fetchNanos, tokenizeNanos, prefixNanos, queued, run - queued));
        }

        /** Drops rows that were not run yet. */
        void cancel() {
            outputs.forEach(output -> output.cancel(false));
        }
    }

    /** The time that one call may take. */
    private record Deadline(Duration limit, long endNanos) {

        Deadline(Duration limit) {
            this(limit, System.nanoTime() + limit.toNanos());
        }

        <T> T await(CompletableFuture<T> future, String whom) {
            try {
                return future.get(Math.max(0, endNanos - System.nanoTime()), TimeUnit.NANOSECONDS);
            } catch (TimeoutException | CancellationException e) {
                throw new SoftcallException(
                        Reason.DEADLINE_EXCEEDED,
                        "no answer from %s within %d ms (softcall.limits.call-time)".formatted(whom, limit.toMillis()),
                        e);
            } catch (ExecutionException e) {
                throw e.getCause() instanceof SoftcallException known
                        ? known.again()
                        : new SoftcallException(
                                Reason.INTERNAL, "%s failed: %s".formatted(whom, e.getCause()), e.getCause());
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new SoftcallException(Reason.DEADLINE_EXCEEDED, "the server is stopping", e);
            }
        }
    }

    /** The stages of a call as metrics. */
    private static final class Stages {

        private final Timer fetch;
        private final Timer tokenize;
        private final Timer prefix;
        private final Timer queue;
        private final Timer infer;

        Stages(MeterRegistry metrics) {
            this.fetch = timer(metrics, "fetch", "until the store had proven or delivered the version");
            this.tokenize = timer(metrics, "tokenize", "text to token ids");
            this.prefix = timer(metrics, "prefix", "until the prefix was at hand");
            this.queue = timer(metrics, "queue", "longest wait of a row for its run");
            this.infer = timer(metrics, "infer", "the model");
        }

        private static Timer timer(MeterRegistry metrics, String stage, String description) {
            return Timer.builder("softcall." + stage)
                    .description(description)
                    .publishPercentileHistogram()
                    .register(metrics);
        }

        void record(Classification.Timings timings) {
            fetch.record(timings.fetch(), TimeUnit.NANOSECONDS);
            tokenize.record(timings.tokenize(), TimeUnit.NANOSECONDS);
            prefix.record(timings.prefix(), TimeUnit.NANOSECONDS);
            queue.record(timings.queue(), TimeUnit.NANOSECONDS);
            infer.record(timings.infer(), TimeUnit.NANOSECONDS);
        }
    }
}
