package io.softcall.inference;

import io.softcall.task.StoredTask;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import io.softcall.task.catalog.Tasks;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;

/**
 * Works with the cached version of a task while the store revalidates it. If the store confirms the version, the result of
 * the work is used. If the store has another version, the work is cancelled and repeated with that one. Failures of work
 * with a superseded version are ignored.
 *
 * @param <A> work with one version
 */
public final class Speculation<A extends Speculation.Attempt> {

    /** Work with one version of a task. It keeps a failure until its result is requested. */
    public interface Attempt {

        Task task();

        /** Cancels work that has not begun. Has no effect on finished work. */
        void cancel();
    }

    /**
     * An attempt with the stored version.
     *
     * @param staleness as in {@link Tasks.Validated}
     * @param fetchNanos the time until the store has validated or delivered the version
     */
    public record Validated<A>(A attempt, Optional<Duration> staleness, long fetchNanos) {}

    private final Tasks tasks;
    private final Prefixes prefixes;

    public Speculation(Tasks tasks, Prefixes prefixes) {
        this.tasks = tasks;
        this.prefixes = prefixes;
    }

    /**
     * Makes an attempt with the cached version, and another one if the store has another version. Returns the result of the
     * attempt with the stored version.
     *
     * @param begin begins an attempt, which does not need the prompt any more when this returns; it must not throw
     * @param finish waits for the result of the attempt with the stored version
     * @throws io.softcall.SoftcallException if the stored version is unavailable, or if {@code finish} throws
     */
    <R> R run(TaskName task, Deadline deadline, Function<StoredTask, A> begin, Function<Validated<A>, R> finish) {
        Validated<A> validated = attempt(task, deadline, begin);
        try {
            return finish.apply(validated);
        } finally {
            validated.attempt().cancel();
        }
    }

    /**
     * Begins the attempt with the stored version. When this returns, the call holds no prompt.
     *
     * @param begin as for {@link #run}
     * @throws io.softcall.SoftcallException if the stored version is unavailable
     */
    public Validated<A> attempt(TaskName task, Deadline deadline, Function<StoredTask, A> begin) {
        long began = System.nanoTime();
        try (Tasks.Use use = tasks.revalidate(task)) {
            CompletableFuture<Long> fetchNanos = use.validated().thenApply(answer -> System.nanoTime() - began);
            Optional<A> speculative = tasks.cached(task).map(begin);
            Tasks.Validated answer;
            long nanos;
            try {
                answer = deadline.await(use.validated(), "the store");
                nanos = deadline.await(fetchNanos, "the store");
            } catch (RuntimeException e) {
                speculative.ifPresent(Attempt::cancel);
                throw e;
            }
            A attempt = speculative
                    .filter(made ->
                            made.task().version().equals(answer.stored().task().version()))
                    .orElseGet(() -> {
                        speculative.ifPresent(this::supersede);
                        return begin.apply(answer.stored());
                    });
            return new Validated<>(attempt, answer.staleness(), nanos);
        }
    }

    /** Cancels an attempt at once, because its queued inputs would delay the next attempt. */
    private void supersede(A attempt) {
        attempt.cancel();
        prefixes.forget(attempt.task());
    }
}
