package io.softcall.inference.generation;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.decoding.DecodedSequence;
import io.softcall.inference.decoding.Lanes;
import io.softcall.inference.decoding.TokenChooser;
import io.softcall.inference.generation.Generation.Finish;
import io.softcall.inference.sampling.Sampled;
import io.softcall.inference.sampling.Workspace;
import io.softcall.task.Task;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/**
 * One answer while its tokens are chosen, on the thread of its lane. It pauses while its caller leaves too many tokens unread.
 */
final class Answer implements TokenChooser {

    /** The tokens that may be unread before the answer pauses, and those at which it goes on. */
    private static final int MOST_UNREAD = 64;

    private static final int FEW_UNREAD = 32;

    private final int index;
    private final Task task;
    private final TokenChoice choice;
    private final int maxTokens;
    private final Lanes lanes;
    private final Consumer<Event> events;
    private final Runnable left;
    private final AtomicBoolean hasLeft = new AtomicBoolean();

    private int chosen;
    /** Guarded by this object, like {@link #parked}. */
    private int unread;

    private Optional<DecodedSequence> parked = Optional.empty();
    private volatile boolean cancelled;

    /** Something that happens to an answer. */
    sealed interface Event {

        /** @param last why this was the last token; empty if others follow */
        record Chosen(Answer answer, Sampled token, Optional<Finish> last) implements Event {}

        /** The base wrote an end token. */
        record Ended(Answer answer) implements Event {}

        record Failed(Throwable problem) implements Event {}
    }

    /**
     * @param index as in {@link Generation.Piece}
     * @param events gets what happens, without blocking
     * @param left called once, when the answer needs no memory any more
     */
    Answer(
            int index,
            Task task,
            TokenChoice choice,
            int maxTokens,
            Lanes lanes,
            Consumer<Event> events,
            Runnable left) {
        this.task = task;
        this.index = index;
        this.choice = choice;
        this.maxTokens = maxTokens;
        this.lanes = lanes;
        this.events = events;
        this.left = left;
    }

    int index() {
        return index;
    }

    @Override
    public OptionalInt next(float[] logits, int offset, Workspace workspace) {
        Sampled token;
        try {
            token = choice.next(logits, offset, workspace);
        } catch (IllegalArgumentException e) {
            throw new SoftcallException(
                    Reason.ARTIFACT_REFUSED,
                    "task \"%s\", version %s, is refused: %s; the prompt holds values that are too large"
                            .formatted(task.name(), task.version(), e.getMessage()),
                    e);
        }
        if (choice.isEnd(token)) {
            events.accept(new Event.Ended(this));
            return OptionalInt.empty();
        }
        chosen++;
        Optional<Finish> last = choice.isComplete() ? Optional.of(Finish.STOP) : Optional.empty();
        if (last.isEmpty() && chosen == maxTokens) {
            last = Optional.of(Finish.LENGTH);
        }
        synchronized (this) {
            unread++;
        }
        events.accept(new Event.Chosen(this, token, last));
        return last.isPresent() ? OptionalInt.empty() : OptionalInt.of(token.id());
    }

    @Override
    public State state() {
        if (cancelled) {
            return State.CANCELLED;
        }
        synchronized (this) {
            return unread >= MOST_UNREAD ? State.PAUSED : State.WANTED;
        }
    }

    /** Counts a token that the caller has taken. */
    void read() {
        Optional<DecodedSequence> resumed = Optional.empty();
        synchronized (this) {
            unread--;
            if (unread <= FEW_UNREAD) {
                resumed = parked;
                parked = Optional.empty();
            }
        }
        resumed.ifPresent(lanes::add);
    }

    @Override
    public void parked(DecodedSequence sequence) {
        boolean resumes;
        synchronized (this) {
            resumes = cancelled || unread <= FEW_UNREAD;
            parked = resumes ? Optional.empty() : Optional.of(sequence);
        }
        if (resumes) {
            lanes.add(sequence);
        }
    }

    /** Ends the answer. Its lane gives its place back at the next step. */
    void cancel() {
        Optional<DecodedSequence> resumed;
        synchronized (this) {
            cancelled = true;
            resumed = parked;
            parked = Optional.empty();
        }
        resumed.ifPresent(lanes::add);
    }

    @Override
    public void left() {
        if (hasLeft.compareAndSet(false, true)) {
            left.run();
        }
    }

    @Override
    public void fail(Throwable problem) {
        events.accept(new Event.Failed(problem));
    }
}
