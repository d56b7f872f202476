package io.softcall.inference.generation;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.Deadline;
import io.softcall.inference.generation.Answer.Event;
import io.softcall.task.Task;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;

/** The answers to one request, whose tokens become text when they are taken. */
final class RunningGeneration implements Generation {

    /** How long a wait for the next token is before the times are looked at again. */
    private static final long LOOK_AFTER_NANOS = 500_000_000;

    private final Attempt attempt;
    private final Optional<Duration> staleness;
    private final List<AnswerText> texts;
    private final Runnable closed;
    private final AtomicBoolean isClosed = new AtomicBoolean();
    private final Duration limit;
    private final StopTime stopTime;
    private final long endNanos;
    private int running;

    /**
     * @param limit the time that the answers may take from now
     * @param cancellation completes when the caller no longer waits
     * @param closed called once, when this is closed
     */
    RunningGeneration(
            Attempt attempt,
            Optional<Duration> staleness,
            Duration limit,
            StopTime stopTime,
            CompletableFuture<Void> cancellation,
            Runnable closed) {
        this.attempt = attempt;
        this.staleness = staleness;
        this.texts = attempt.texts();
        this.closed = closed;
        this.limit = limit;
        this.stopTime = stopTime;
        this.endNanos = System.nanoTime() + limit.toNanos();
        this.running = texts.size();
        cancellation.thenRun(() -> {
            attempt.cancel();
            attempt.events()
                    .add(new Event.Failed(new SoftcallException(Reason.CANCELLED, "the caller cancelled the call")));
        });
    }

    @Override
    public Task task() {
        return attempt.task();
    }

    @Override
    public Optional<Duration> staleness() {
        return staleness;
    }

    @Override
    public int promptTokens() {
        return attempt.promptTokens();
    }

    @Override
    public Optional<Piece> next() {
        while (running > 0) {
            Optional<Event> event = attempt.events().next(nextLookNanos());
            checkTime();
            Optional<Piece> piece = event.flatMap(this::piece);
            if (piece.isPresent()) {
                running -= piece.get().finish().isPresent() ? 1 : 0;
                return piece;
            }
        }
        return Optional.empty();
    }

    private long nextLookNanos() {
        long now = System.nanoTime();
        return now + Math.min(LOOK_AFTER_NANOS, endNanos - now);
    }

    private void checkTime() {
        if (stopTime.hasCome()) {
            throw new SoftcallException(Reason.STOPPING, "the server is stopping");
        }
        if (System.nanoTime() - endNanos >= 0) {
            throw new SoftcallException(
                    Reason.DEADLINE_EXCEEDED,
                    "the answer is not finished within %d ms (softcall.generation.time)".formatted(limit.toMillis()));
        }
    }

    private Optional<Piece> piece(Event event) {
        return switch (event) {
            case Event.Chosen chosen -> {
                chosen.answer().read();
                yield texts.get(chosen.answer().index()).add(chosen.token(), chosen.last());
            }
            case Event.Ended ended -> texts.get(ended.answer().index()).end();
            case Event.Failed failed -> throw Deadline.failure(failed.problem(), "the model");
        };
    }

    @Override
    public void close() {
        if (isClosed.compareAndSet(false, true)) {
            attempt.cancel();
            closed.run();
        }
    }
}
