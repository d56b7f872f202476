package io.softcall.inference.batching;

import io.softcall.inference.model.Model;

/**
 * One input of a request, which waits for a batch.
 *
 * @param index its index among the request's inputs
 * @param ids its token ids, at least one
 */
record Input(QueuedRequest request, int index, long[] ids) {

    int tokens() {
        return ids.length;
    }

    /** Returns the input with its prefix, as the model takes it. */
    Model.Sequence sequence() {
        return new Model.Sequence(ids, request.prefix());
    }
}
