package io.softcall.inference.onnx.prefix;

import ai.onnxruntime.OrtException;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.session.SessionInputs;
import java.nio.FloatBuffer;
import java.util.List;

/** The form in which a trunk takes prefixes: how their keys and values are kept, and which inputs of the graph get them. */
public interface PrefixForm extends AutoCloseable {

    /** The source of keys and values. */
    interface Source {
        /**
         * Copies the keys or the values of one layer, [kv_heads, tokens, head_dim].
         *
         * @param index twice the layer's index for its keys; one more for its values
         */
        void copy(int index, FloatBuffer to) throws OrtException;
    }

    /**
     * Keeps a prefix. Waits while calls use as much memory for prefixes as is allowed. The caller owns the only reference.
     *
     * @throws io.softcall.SoftcallException {@code OUT_OF_MEMORY} if there is no memory for it; {@code STOPPING} if the thread is
     *     interrupted
     */
    Prefix keep(int tokens, Source values) throws OrtException;

    /**
     * Passes the prefixes of a batch.
     *
     * @param prefixes one for each sequence, all of the same length, made by this form
     */
    void give(List<Prefix> prefixes, SessionInputs inputs) throws OrtException;

    @Override
    void close();
}
