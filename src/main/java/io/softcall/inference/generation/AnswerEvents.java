package io.softcall.inference.generation;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.generation.Answer.Event;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** What happens to the answers of one request, in order. The pauses of {@link Answer} bound it. */
final class AnswerEvents {

    private final BlockingQueue<Event> events = new LinkedBlockingQueue<>();
    private final CompletableFuture<Void> begun = new CompletableFuture<>();

    void add(Event event) {
        events.add(event);
        if (event instanceof Event.Failed failed) {
            begun.completeExceptionally(failed.problem());
        } else {
            begun.complete(null);
        }
    }

    /** Completes with the first event; exceptionally if it is a failure. */
    CompletableFuture<Void> begun() {
        return begun;
    }

    /** Waits for the next event. @return empty if none comes before {@code endNanos}, a value of {@link System#nanoTime} */
    Optional<Event> next(long endNanos) {
        try {
            return Optional.ofNullable(events.poll(Math.max(0, endNanos - System.nanoTime()), TimeUnit.NANOSECONDS));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new SoftcallException(Reason.STOPPING, "the server is stopping", e);
        }
    }
}
