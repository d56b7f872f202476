package io.softcall.inference.model;

import java.util.List;

/**
 * Places in which sequences are decoded side by side, one token each at a time. A place holds the keys and values of one
 * sequence. Used by one thread at a time.
 */
public interface Decoding extends AutoCloseable {

    /** Returns the number of token ids. */
    int vocabulary();

    /** Copies a KV cache into a place. */
    void put(int place, Prefix past);

    /** Copies the keys and values of one place into another. @param tokens how many tokens it has */
    void move(int from, int to, int tokens);

    /** Copies the keys and values of a place out of it. The caller owns the only reference. */
    Prefix copy(int place, int tokens);

    /** Gives the memory of a place back. */
    void clear(int place);

    /**
     * Computes one token of each sequence in the first places. It is appended to the keys and values of its place.
     *
     * @param ids the token of each sequence, [sequences]
     * @param lengths the tokens that each place has before this one, [sequences]
     * @return logits of the next tokens, [sequences * vocabulary], valid until the next call
     */
    float[] step(long[] ids, int[] lengths);

    /**
     * Computes the logits of hidden rows.
     *
     * @param hidden [sequences][hidden]
     * @return logits, [sequences * vocabulary], valid until the next call
     */
    float[] logits(List<float[]> hidden);

    @Override
    void close();
}
