package io.softcall.inference.batching;

import java.util.List;

/**
 * Inputs that share one forward pass.
 *
 * @param inputs at least one; all their prefixes have the same number of tokens
 * @param exclusive whether no other batch is computed at the same time, so that this one may use all cores
 */
record Batch(List<Input> inputs, boolean exclusive) {

    int size() {
        return inputs.size();
    }
}
