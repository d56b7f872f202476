package io.softcall.inference.batching;

import io.softcall.inference.model.Prefix;

/**
 * Gets the outputs of a request one by one, each with the keys and values of its input. Exactly one method is called for each
 * input. None may block.
 */
public interface OutputListener {

    /**
     * Called by the thread that has computed an input.
     *
     * @param index the index of the input
     * @param kept the KV cache of the prompt and the input; the callee owns the only reference
     */
    void computed(int index, Output output, Prefix kept);

    /**
     * Called when an input was dropped, because its request was cancelled or has failed.
     *
     * @param index the index of the input
     */
    void dropped(int index);
}
