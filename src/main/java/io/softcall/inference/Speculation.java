package io.softcall.inference;

import io.softcall.task.Task;
import io.softcall.task.TaskName;
import io.softcall.task.catalog.Tasks;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;

/**
 * Works with the cached version of a task while the store validates it. If the store confirms that version, the work counts;
 * if it has another one, the work is cancelled and done again with that. A failure of work with a superseded version is nobody's.
 *
 * @param <A> work with one version
 */
final class Speculation<A extends Speculation.Attempt> {

    /** Work with one version of a task. It keeps a failure until somebody asks for its result. */
    interface Attempt {

        Task task();

        /** Gives up what has not begun. Without effect on work that is done. */
        void cancel();
    }

    /**
     * An attempt with the version that is stored.
     *
     * @param staleness as in {@link Tasks.Validated}
     * @param fetchNanos until the store had validated or delivered the version
     */
    record Validated<A>(A attempt, Optional<Duration> staleness, long fetchNanos) {}

    private final Tasks tasks;
    private final Prefixes prefixes;

    Speculation(Tasks tasks, Prefixes prefixes) {
        this.tasks = tasks;
        this.prefixes = prefixes;
    }

    /**
     * Runs attempts until one has the stored version, and returns the result of that one.
     *
     * @param begin begins an attempt; it throws nothing
     * @param finish waits for the result of the attempt with the stored version
     * @throws io.softcall.SoftcallException why the version cannot be had, or what {@code finish} throws
     */
    <R> R run(TaskName task, Deadline deadline, Function<Task, A> begin, Function<Validated<A>, R> finish) {
        long began = System.nanoTime();
        CompletableFuture<Tasks.Validated> revalidation = tasks.revalidate(task);
        CompletableFuture<Long> fetchNanos = revalidation.thenApply(answer -> System.nanoTime() - began);
        Optional<A> speculative = tasks.cached(task).map(begin);
        try {
            Tasks.Validated stored = deadline.await(revalidation, "the store");
            A attempt = speculative
                    .filter(made -> made.task().version().equals(stored.task().version()))
                    .orElseGet(() -> {
                        speculative.ifPresent(this::supersede);
                        return begin.apply(stored.task());
                    });
            try {
                return finish.apply(
                        new Validated<>(attempt, stored.staleness(), deadline.await(fetchNanos, "the store")));
            } finally {
                attempt.cancel();
            }
        } finally {
            speculative.ifPresent(Attempt::cancel);
        }
    }

    /** At once: what it has queued would only delay the attempt that follows. */
    private void supersede(A attempt) {
        attempt.cancel();
        prefixes.forget(attempt.task());
    }
}
