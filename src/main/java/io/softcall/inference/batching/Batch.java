package io.softcall.inference.batching;

import java.util.List;
import java.util.OptionalInt;

/**
 * Inputs that share one forward pass.
 *
 * @param inputs at least one; all their prefixes have the same number of tokens
 * @param chunk if present, only as many tokens of the one input are computed; the rest waits for another batch
 * @param exclusive whether no other batch is computed at the same time, so that this one may use all cores
 */
record Batch(List<Input> inputs, OptionalInt chunk, boolean exclusive) {

    int size() {
        return inputs.size();
    }

    /** Returns the tokens that are computed, with padding. */
    int tokens() {
        return chunk.orElse(
                size() * inputs.stream().mapToInt(Input::tokens).max().orElse(0));
    }
}
