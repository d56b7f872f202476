package io.softcall.inference.batching;

import io.softcall.inference.model.Model;

/**
 * One input of a request: a sequence that waits for a batch.
 *
 * @param index its place among the request's inputs
 * @param ids token ids, at least one
 */
record Input(QueuedRequest request, int index, long[] ids) {

    int tokens() {
        return ids.length;
    }

    /** The sequence behind its prompt's KV cache, as the model computes it. */
    Model.Sequence sequence() {
        return new Model.Sequence(ids, request.prefix());
    }
}
