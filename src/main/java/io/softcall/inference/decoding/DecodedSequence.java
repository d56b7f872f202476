package io.softcall.inference.decoding;

import io.softcall.inference.model.Decoding;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.sampling.Workspace;
import java.util.OptionalInt;

/** A sequence that is being decoded. Only the thread of its lane uses it. */
public final class DecodedSequence {

    private final Object call;
    private final TokenChooser chooser;
    /** The hidden row that gives the first token; null afterwards. */
    private float[] hidden;
    /** The keys and values of all tokens but the last one, while the sequence has no place; null in a place. */
    private Prefix past;

    private int length;
    private int last;

    /**
     * @param call the call that it belongs to; calls take turns for places
     * @param hidden the hidden row at the last token of the text, [hidden]
     * @param past the KV cache of prompt and text; this owns a reference
     */
    public DecodedSequence(Object call, TokenChooser chooser, float[] hidden, Prefix past) {
        this.call = call;
        this.chooser = chooser;
        this.hidden = hidden;
        this.past = past;
        this.length = past.tokens();
    }

    Object call() {
        return call;
    }

    TokenChooser chooser() {
        return chooser;
    }

    /** Returns whether no token has been chosen yet. */
    boolean isNew() {
        return hidden != null;
    }

    float[] hidden() {
        return hidden;
    }

    /** Chooses the next token. @return false if the sequence has ended */
    boolean choose(float[] logits, int offset, Workspace workspace) {
        hidden = null;
        OptionalInt next = chooser.next(logits, offset, workspace);
        last = next.orElse(0);
        return next.isPresent();
    }

    /** Returns the last token, whose keys and values are not computed yet. */
    int last() {
        return last;
    }

    /** Returns the number of tokens before the last one, with those of the prompt. */
    int length() {
        return length;
    }

    /** Counts the last token, whose keys and values were computed. */
    void grow() {
        length++;
    }

    void enter(Decoding decoding, int place) {
        decoding.put(place, past);
        release();
    }

    void leaveFor(Prefix copy) {
        past = copy;
    }

    /** Releases the keys and values that it holds outside its place. */
    void release() {
        if (past != null) {
            past.release();
            past = null;
        }
    }
}
