package io.softcall.inference.batching;

import java.util.List;

/**
 * Inputs that share one forward pass.
 *
 * @param inputs at least one; their prefixes have the same number of tokens
 * @param exclusive whether no other batch is computed meanwhile, so that this one may have all cores
 */
record Batch(List<Input> inputs, boolean exclusive) {

    int size() {
        return inputs.size();
    }
}
