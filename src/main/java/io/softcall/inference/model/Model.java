package io.softcall.inference.model;

import io.softcall.task.ReadyPrefix;
import io.softcall.task.SoftPrompt;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** The frozen base: the one seam between Softcall and the runtime that computes. Safe for use by several threads. */
public interface Model extends AutoCloseable {

    /**
     * A sequence to compute.
     *
     * @param ids token ids, at least one
     * @param prefix the KV cache before them; the caller retains it until the forward pass ends
     * @param kept gets the KV cache of prefix and ids, of which it owns the only reference; empty if nobody wants it
     */
    record Sequence(long[] ids, Prefix prefix, Optional<Consumer<Prefix>> kept) {

        public Sequence(long[] ids, Prefix prefix) {
            this(ids, prefix, Optional.empty());
        }
    }

    Bundle bundle();

    /** Returns the device that computes. */
    Device device();

    /** Computes a prompt's KV cache at full precision. The bundle must have an encoder. The caller owns the only reference. */
    Prefix encode(SoftPrompt prompt);

    /** Returns a KV cache of no tokens. The caller owns the only reference. */
    Prefix none();

    /**
     * Loads a KV cache that an artifact holds. May wait until other prefixes are freed. The caller owns the only reference.
     *
     * @throws io.softcall.SoftcallException {@code OUT_OF_MEMORY} if there is no memory for it; {@code STOPPING} if the thread is
     *     interrupted
     */
    Prefix load(ReadyPrefix ready);

    /**
     * Computes a batch of sequences.
     *
     * @param batch at least one sequence; all prefixes have the same number of tokens
     * @param exclusive whether no other batch begins before this one has ended; an exclusive batch may use all cores, while
     *     concurrent batches share them
     * @return the hidden row at each sequence's last token, [batch][hidden], in the order of the batch
     */
    float[][] forward(List<Sequence> batch, boolean exclusive);

    /** Returns why this model cannot decode, so cannot write text; empty if it can. */
    Optional<String> decodingObstacle();

    /**
     * Allocates places in which sequences are decoded. The first call opens the graphs of decoding. Only for a model that can
     * decode.
     *
     * @param places how many sequences are decoded side by side
     * @param positions the tokens that a place has room for, prefix and text together
     */
    Decoding decoding(int places, int positions);

    @Override
    void close();
}
