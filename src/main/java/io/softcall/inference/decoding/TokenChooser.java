package io.softcall.inference.decoding;

import io.softcall.inference.sampling.Workspace;
import java.util.OptionalInt;

/** What chooses the tokens of one sequence. The thread of its lane calls it, so it must not block. */
public interface TokenChooser {

    /**
     * Chooses the next token.
     *
     * @param logits those of this sequence begin at {@code offset}; valid during this call
     * @param workspace that of the thread
     * @return the token; empty if the sequence has ended
     */
    OptionalInt next(float[] logits, int offset, Workspace workspace);

    /** Returns whether the sequence goes on. */
    State state();

    /** Called when the sequence has given up its place because it pauses. {@link Lanes#add} takes it again. */
    void parked(DecodedSequence sequence);

    /** Called once, when the sequence has left its lane for good, and its memory is free. */
    void left();

    /** Called when the sequence cannot go on. */
    void fail(Throwable problem);

    /** Whether a sequence is wanted. */
    enum State {
        WANTED,
        /** Nobody takes its tokens for now. It gives its place to another until {@link Lanes#add} is called. */
        PAUSED,
        /** Nobody wants it any more. */
        CANCELLED
    }
}
