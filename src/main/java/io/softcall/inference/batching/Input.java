package io.softcall.inference.batching;

import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * One input of a request, which waits for a batch. A long input may be computed in chunks: what was computed of it becomes a
 * part of its prefix. The thread that computes it, or the lock of the {@link Batcher} while it waits, guards its state.
 */
final class Input {

    private final QueuedRequest request;
    private final int index;
    private final long[] ids;
    private int computed;
    /** The keys and values of the prompt and of the computed ids; empty before the first chunk. The input owns a reference. */
    private Optional<Prefix> extended = Optional.empty();

    /**
     * @param index its index among the request's inputs
     * @param ids its token ids, at least one
     */
    Input(QueuedRequest request, int index, long[] ids) {
        this.request = request;
        this.index = index;
        this.ids = ids;
    }

    QueuedRequest request() {
        return request;
    }

    int index() {
        return index;
    }

    /** Returns the number of tokens that are not computed yet. */
    int tokens() {
        return ids.length - computed;
    }

    /** Returns the tokens before these: those of the prompt, and those of earlier chunks. */
    int prefixTokens() {
        return prefix().tokens();
    }

    private Prefix prefix() {
        return extended.orElseGet(request::prefix);
    }

    /** Returns all that is left of the input with its prefix, as the model takes it. */
    Model.Sequence sequence(Optional<Consumer<Prefix>> kept) {
        long[] left = computed == 0 ? ids : Arrays.copyOfRange(ids, computed, ids.length);
        return new Model.Sequence(left, prefix(), kept);
    }

    /** Returns the next chunk. When it is computed, it belongs to the prefix of what is left. */
    Model.Sequence chunk(int tokens) {
        long[] chunk = Arrays.copyOfRange(ids, computed, computed + tokens);
        return new Model.Sequence(chunk, prefix(), Optional.of(kept -> {
            release();
            extended = Optional.of(kept);
            computed += tokens;
        }));
    }

    /** Ends the input without an output. */
    void drop() {
        release();
        request.listener().ifPresent(listener -> listener.dropped(index));
    }

    /** Releases what the chunks have computed. */
    void release() {
        extended.ifPresent(Prefix::release);
        extended = Optional.empty();
    }
}
