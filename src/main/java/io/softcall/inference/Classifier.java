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
     * @param hungUp completes when nobody waits for the answer any more; what has not begun is then dropped
     * @throws SoftcallException whatever stands in the way
     */
    public Classification classify(Call call, CompletableFuture<Void> hungUp) {
        admit(call);
        if (!calls.tryAcquire()) {
            throw SoftcallException.overloaded(
                    "%d calls are under way, as many as allowed (softcall.limits.calls)".formatted(limits.calls()),
                    batcher.backlog());
        }
        try {
            Classification answer = run(call, new Patience(limits.callTime(), hungUp));
            stages.record(answer.timings());
            return answer;
        } finally {
            calls.release();
        }
    }

    /**
     * Refuses a call that {@link #classify} would refuse now, before it has cost anything. Waits for nothing.
     *
     * @throws SoftcallException {@code OVERLOADED}, or what is wrong with its texts
     */
    public void admit(Call call) {
        check(call);
        batcher.requireRoom(call.task(), call.items().size());
    }

    /** What became of one row of {@link #start}: an answer, or a problem of this row alone. */
    public sealed interface Outcome {

        record Answered(Classification.Row row) implements Outcome {}

        record Refused(SoftcallException problem) implements Outcome {}
    }

    /**
     * Classifies rows with a version of a task that the caller holds; the store is not asked. The caller bounds how many rows
     * it has under way: they are never refused for want of places, and have no deadline. Blocks until the rows are queued.
     *
     * @param rows each has one text, or two for a task on pairs
     * @param truncateTokens as in {@link Call}
     */
    public Started start(Task task, List<List<String>> rows, OptionalInt truncateTokens) {
        Started started = new Started(task);
        for (List<String> texts : rows) {
            started.add(texts, truncateTokens);
        }
        if (!started.ids.isEmpty()) {
            Prefix prefix = prefixes.acquire(task, future -> Patience.result(future, "the encoder"));
            try {
                started.rows = Optional.of(batcher.submitBounded(task.name(), prefix, started.ids));
            } finally {
                prefix.release();
            }
        }
        return started;
    }

    /** Rows under way. */
    public final class Started {

        private final Task task;
        private final List<long[]> ids = new ArrayList<>();
        /** A row's problem, or nothing for those that run. */
        private final List<Optional<SoftcallException>> problems = new ArrayList<>();

        private Optional<Batcher.Rows> rows = Optional.empty();

        private Started(Task task) {
            this.task = task;
        }

        private void add(List<String> texts, OptionalInt truncateTokens) {
            try {
                check("the row", texts);
                int limit = limit(task, truncateTokens);
                ids.add(tokenizer.encode(task.template(), texts, limit, truncateTokens.isPresent()));
                problems.add(Optional.empty());
            } catch (SoftcallException e) {
                problems.add(Optional.of(e));
            }
        }

        /**
         * Waits as long as it takes.
         *
         * @return an outcome a row, in order
         * @throws SoftcallException when a run failed, or the server is stopping
         */
        public List<Outcome> await() {
            List<Batcher.Output> outputs = rows.map(waiting -> Patience.result(waiting.outputs(), "the model"))
                    .orElse(List.of());
            List<Outcome> outcomes = new ArrayList<>();
            int run = 0;
            for (Optional<SoftcallException> problem : problems) {
                if (problem.isPresent()) {
                    outcomes.add(new Outcome.Refused(problem.get()));
                } else {
                    outcomes.add(outcome(outputs.get(run).hidden(), ids.get(run).length));
                    run++;
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

        /** Drops rows that were not run yet. */
        public void cancel() {
            rows.ifPresent(Batcher.Rows::cancel);
        }
    }

    /**
     * Tokens of one text with its template.
     *
     * @throws SoftcallException {@code ARTIFACT_REFUSED} when the template leaves none for a text
     */
    private int limit(Task task, OptionalInt truncateTokens) {
        int positions = model.bundle().maxPositions() - task.prompt().tokens();
        int most = Math.min(limits.tokens(), positions);
        int own = tokenizer.tokens(task.template());
        if (own >= most) {
            throw new SoftcallException(
                    Reason.ARTIFACT_REFUSED,
                    "task \"%s\", version %s, is refused: its template alone has %d tokens, and at most %d are accepted with"
                                    .formatted(task.name(), task.version(), own, most)
                            + " a text (softcall.limits.tokens, and the base's positions behind the prompt)");
        }
        return Math.min(most, truncateTokens.orElse(Integer.MAX_VALUE));
    }

    private void check(Call call) {
        if (call.items().isEmpty() || call.items().size() > limits.texts()) {
            throw SoftcallException.invalid(
                    "input has %d texts, expected 1 to %d (softcall.limits.texts)",
                    call.items().size(), limits.texts());
        }
        for (int i = 0; i < call.items().size(); i++) {
            check("input[" + i + "]", call.items().get(i));
        }
    }

    private void check(String name, List<String> texts) {
        for (String text : texts) {
            if (text.isBlank()) {
                throw SoftcallException.invalid("%s has an empty text", name);
            }
            if (text.length() > limits.characters()) {
                throw new SoftcallException(
                        Reason.TEXT_TOO_LONG,
                        "%s has %d characters, at most %d are accepted (softcall.limits.characters)"
                                .formatted(name, text.length(), limits.characters()));
            }
        }
    }

    private Classification run(Call call, Patience patience) {
        long began = System.nanoTime();
        CompletableFuture<Tasks.Proven> question = tasks.revalidate(call.task());
        CompletableFuture<Long> proven = question.thenApply(answer -> System.nanoTime() - began);
        Optional<Attempt> guess = tasks.guess(call.task()).map(task -> new Attempt(task, call, patience));
        try {
            Tasks.Proven fresh = patience.await(question, "the store");
            Attempt attempt = guess.filter(
                            made -> made.task.version().equals(fresh.task().version()))
                    .orElseGet(() -> {
                        guess.ifPresent(superseded -> {
                            // At once: its rows would only stand in the way of the new ones.
                            superseded.cancel();
                            prefixes.forget(superseded.task);
                        });
                        return new Attempt(fresh.task(), call, patience);
                    });
            try {
                return attempt.finish(patience, fresh.staleness(), patience.await(proven, "the store"));
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
        private Optional<Batcher.Rows> rows = Optional.empty();
        private Optional<RuntimeException> failure = Optional.empty();
        private long tokenizeNanos;
        private long prefixNanos;

        Attempt(Task task, Call call, Patience patience) {
            this.task = task;
            try {
                start(call, patience);
            } catch (RuntimeException e) {
                failure = Optional.of(e);
            }
        }

        private void start(Call call, Patience patience) {
            long began = System.nanoTime();
            int limit = limit(task, call.truncateTokens());
            for (int i = 0; i < call.items().size(); i++) {
                patience.check();
                try {
                    ids.add(tokenizer.encode(
                            task.template(),
                            call.items().get(i),
                            limit,
                            call.truncateTokens().isPresent()));
                } catch (SoftcallException e) {
                    throw new SoftcallException(e.reason(), "input[%d]: %s".formatted(i, e.getMessage()), e);
                }
                // Native code holds the carrier of this virtual thread: between texts it is others' turn.
                Thread.yield();
            }
            long tokenized = System.nanoTime();
            Prefix prefix = prefixes.acquire(task, future -> patience.await(future, "the encoder"));
            try {
                prefixNanos = System.nanoTime() - tokenized;
                tokenizeNanos = tokenized - began;
                patience.check();
                rows = Optional.of(batcher.submit(task.name(), prefix, ids, patience.endNanos));
            } finally {
                prefix.release();
            }
        }

        Classification finish(Patience patience, Optional<Duration> staleness, long fetchNanos) {
            failure.ifPresent(e -> {
                throw e;
            });
            List<Batcher.Output> outputs = patience.await(rows.orElseThrow().outputs(), "the model");
            List<Classification.Row> scored = new ArrayList<>();
            long queued = 0;
            long run = 0;
            for (int i = 0; i < outputs.size(); i++) {
                Batcher.Output output = outputs.get(i);
                queued = Math.max(queued, output.queuedNanos());
                run = Math.max(run, output.queuedNanos() + output.runNanos());
                scored.add(Scoring.score(task, output.hidden(), ids.get(i).length));
            }
            return new Classification(
                    task,
                    staleness,
                    scored,
                    new Classification.Timings(fetchNanos, tokenizeNanos, prefixNanos, queued, run - queued));
        }

        /** Drops rows that were not run yet. */
        void cancel() {
            rows.ifPresent(Batcher.Rows::cancel);
        }
    }

    /** How long a call goes on: until its time is up, or its caller hangs up. */
    private static final class Patience {

        private final Duration limit;
        private final long endNanos;
        private final CompletableFuture<Void> hungUp;

        Patience(Duration limit, CompletableFuture<Void> hungUp) {
            this.limit = limit;
            this.endNanos = System.nanoTime() + limit.toNanos();
            this.hungUp = hungUp;
        }

        /** @throws SoftcallException {@code CANCELLED} when the caller has hung up */
        void check() {
            if (hungUp.isDone()) {
                throw new SoftcallException(Reason.CANCELLED, "the caller hung up");
            }
        }

        <T> T await(CompletableFuture<T> future, String whom) {
            try {
                CompletableFuture.anyOf(future, hungUp)
                        .get(Math.max(0, endNanos - System.nanoTime()), TimeUnit.NANOSECONDS);
                check();
                return future.get();
            } catch (TimeoutException e) {
                throw new SoftcallException(
                        Reason.DEADLINE_EXCEEDED,
                        "no answer from %s within %d ms (softcall.limits.call-time)".formatted(whom, limit.toMillis()),
                        e);
            } catch (ExecutionException e) {
                throw failure(e.getCause(), whom);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new SoftcallException(Reason.STOPPING, "the server is stopping", e);
            }
        }

        /** Waits as long as it takes. */
        static <T> T result(CompletableFuture<T> future, String whom) {
            try {
                return future.get();
            } catch (ExecutionException e) {
                throw failure(e.getCause(), whom);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new SoftcallException(Reason.STOPPING, "the server is stopping", e);
            }
        }

        private static SoftcallException failure(Throwable cause, String whom) {
            return cause instanceof SoftcallException known
                    ? known.again()
                    : new SoftcallException(Reason.INTERNAL, "%s failed: %s".formatted(whom, cause), cause);
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
