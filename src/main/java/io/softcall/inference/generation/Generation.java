package io.softcall.inference.generation;

import io.softcall.task.Task;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * The answers to one request while they are written, with one version of the task, which the store has validated. One thread
 * at a time uses it. Answers pause while nobody takes their pieces.
 */
public interface Generation extends AutoCloseable {

    /** Returns the version that answers. */
    Task task();

    /** Returns how long ago the version was last validated; present if the store could not be reached. */
    Optional<Duration> staleness();

    /** Returns the tokens of all sources with their templates, without the prompt. */
    int promptTokens();

    /**
     * Waits for the next piece of any answer.
     *
     * @return empty once all answers have ended
     * @throws io.softcall.SoftcallException if an answer fails, is cancelled, or takes longer than its time; the others end
     *     with it
     */
    Optional<Piece> next();

    /** Ends the answers that are still being written. */
    @Override
    void close();

    /**
     * A piece of an answer. A character never spans two pieces.
     *
     * @param index the answer: that of its source, times {@code n}, plus the number of the answer to that source
     * @param text the text since the last piece; may be empty
     * @param tokens the tokens since the last piece
     * @param finish why the answer has ended; empty while it goes on
     */
    record Piece(int index, String text, List<Token> tokens, Optional<Finish> finish) {

        public Piece {
            tokens = List.copyOf(tokens);
        }
    }

    /**
     * A token of an answer.
     *
     * @param score its text and log-probability; empty if none were wanted
     * @param top the most probable tokens in its place, the most probable first; empty if none were wanted
     */
    record Token(int id, Optional<Score> score, List<Score> top) {

        public Token {
            top = List.copyOf(top);
        }
    }

    /**
     * A token's log-probability in the unchanged distribution.
     *
     * @param text its text; U+FFFD stands for bytes that are only a part of a character
     * @param bytes its UTF-8 bytes
     */
    record Score(int id, String text, byte[] bytes, double logprob) {}

    /** Why an answer has ended. */
    enum Finish {
        /** The base wrote an end token, or a stop text came, or the answer is one of the choices. */
        STOP,
        /** The answer has as many tokens as allowed, or all positions of the base are taken. */
        LENGTH
    }
}
