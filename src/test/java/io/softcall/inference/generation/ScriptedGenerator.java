package io.softcall.inference.generation;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.task.Kind;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import io.softcall.task.Template;
import jakarta.enterprise.inject.Alternative;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/** Answers with what a test has written, in place of a base. */
@Alternative
@Singleton
public class ScriptedGenerator implements Generator {

    public static final int VOCABULARY = 300;
    public static final int PROMPT_TOKENS = 7;

    private volatile Optional<SoftcallException> refusal = Optional.empty();
    private volatile Optional<Duration> staleness = Optional.empty();
    private volatile Iterable<Step> script = List.of();
    private final List<GenerationRequest> requests = new CopyOnWriteArrayList<>();
    private final AtomicInteger taken = new AtomicInteger();
    private final AtomicInteger open = new AtomicInteger();

    /** What {@link Generation#next} does. */
    public sealed interface Step {

        record Write(Generation.Piece piece) implements Step {}

        record Fail(RuntimeException failure) implements Step {}

        /** Waits until the latch is counted down, or the call is cancelled. */
        record Wait(CountDownLatch latch) implements Step {}
    }

    /** Sets what the next calls are answered with. */
    public void script(Iterable<Step> steps) {
        refusal = Optional.empty();
        staleness = Optional.empty();
        taken.set(0);
        requests.clear();
        script = steps;
    }

    public void script(Step... steps) {
        script(List.of(steps));
    }

    /** Makes calls fail before they begin. */
    public void refuse(SoftcallException problem) {
        refusal = Optional.of(problem);
    }

    public void staleFor(Duration age) {
        staleness = Optional.of(age);
    }

    /** Returns the requests that were answered since the last script was set. */
    public List<GenerationRequest> requests() {
        return requests;
    }

    /** Returns how many pieces were taken since the last script was set. */
    public int taken() {
        return taken.get();
    }

    /** Returns how many answers are not closed yet. */
    public int open() {
        return open.get();
    }

    public static Step write(int index, String text) {
        return new Step.Write(piece(index, text, Optional.empty()));
    }

    public static Step finish(int index, String text, Generation.Finish finish) {
        return new Step.Write(piece(index, text, Optional.of(finish)));
    }

    private static Generation.Piece piece(int index, String text, Optional<Generation.Finish> finish) {
        Generation.Token token = new Generation.Token(1, Optional.empty(), List.of());
        return new Generation.Piece(index, text, List.of(token), finish);
    }

    /** Returns a task that writes text. */
    public static Task task(TaskName name) {
        Kind.Defaults defaults =
                new Kind.Defaults(OptionalInt.empty(), List.of(), OptionalDouble.empty(), OptionalDouble.empty());
        return new Task(
                name,
                "v1",
                Optional.empty(),
                4,
                new Kind.Generation(Optional.of(Template.OF_TEXT), false, defaults),
                Optional.empty(),
                "{}",
                1_000);
    }

    @Override
    public int vocabulary() {
        return VOCABULARY;
    }

    @Override
    public void endWithin(Duration time) {}

    @Override
    public void admit(GenerationRequest request) {}

    @Override
    public Generation start(GenerationRequest request, CompletableFuture<Void> cancellation) {
        requests.add(request);
        refusal.ifPresent(problem -> {
            throw problem;
        });
        open.incrementAndGet();
        return new Scripted(task(request.task()), staleness, script.iterator(), cancellation);
    }

    private final class Scripted implements Generation {

        private final Task task;
        private final Optional<Duration> staleness;
        private final Iterator<Step> steps;
        private final CompletableFuture<Void> cancellation;
        private boolean closed;

        Scripted(Task task, Optional<Duration> staleness, Iterator<Step> steps, CompletableFuture<Void> cancellation) {
            this.task = task;
            this.staleness = staleness;
            this.steps = steps;
            this.cancellation = cancellation;
        }

        @Override
        public Task task() {
            return task;
        }

        @Override
        public Optional<Duration> staleness() {
            return staleness;
        }

        @Override
        public int promptTokens() {
            return PROMPT_TOKENS;
        }

        @Override
        public Optional<Piece> next() {
            while (steps.hasNext()) {
                if (cancellation.isDone()) {
                    throw new SoftcallException(Reason.CANCELLED, "the caller cancelled the call");
                }
                switch (steps.next()) {
                    case Step.Write(Piece piece) -> {
                        taken.incrementAndGet();
                        return Optional.of(piece);
                    }
                    case Step.Fail(RuntimeException failure) -> throw failure;
                    case Step.Wait(CountDownLatch latch) -> await(latch);
                }
            }
            return Optional.empty();
        }

        private void await(CountDownLatch latch) {
            CompletableFuture<Void> opened = new CompletableFuture<>();
            Thread.startVirtualThread(() -> {
                try {
                    latch.await();
                    opened.complete(null);
                } catch (InterruptedException e) {
                    opened.completeExceptionally(e);
                }
            });
            CompletableFuture.anyOf(opened, cancellation).join();
        }

        @Override
        public void close() {
            if (!closed) {
                closed = true;
                open.decrementAndGet();
            }
        }
    }

    /** Returns a step again and again. */
    public static Iterable<Step> endless(Step step) {
        return () -> new Iterator<>() {
            @Override
            public boolean hasNext() {
                return true;
            }

            @Override
            public Step next() {
                return step;
            }
        };
    }

    /** Returns a step some times, then another one. */
    public static Iterable<Step> repeated(int times, Step step, Step last) {
        List<Step> steps = new ArrayList<>(Collections.nCopies(times, step));
        steps.add(last);
        return steps;
    }
}
