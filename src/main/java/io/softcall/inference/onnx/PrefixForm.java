package io.softcall.inference.onnx;

import ai.onnxruntime.OrtException;
import io.softcall.inference.model.Prefix;
import java.nio.FloatBuffer;
import java.util.List;

/** In which form a trunk takes the keys and values of prefixes: how they are kept, and which inputs of its graph get them. */
public interface PrefixForm extends AutoCloseable {

    /** Where keys and values come from. */
    interface Source {
        /**
         * Copies the keys or values, [kv_heads, tokens, head_dim], of this number.
         *
         * @param index keys before values, layer by layer
         */
        void copy(int index, FloatBuffer to) throws OrtException;
    }

    /** Keeps a prefix. The caller owns the one reference. */
    Prefix keep(int tokens, Source values) throws OrtException;

    /**
     * Gives a run its prefixes.
     *
     * @param prefixes one a row, all of one length; made by this
     */
    void give(List<Prefix> prefixes, SessionInputs inputs) throws OrtException;

    @Override
    void close();
}
