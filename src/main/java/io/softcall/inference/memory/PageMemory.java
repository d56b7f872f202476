package io.softcall.inference.memory;

import ai.onnxruntime.OnnxTensor;
import java.lang.foreign.MemorySegment;

/** Memory that runs read without a copy, as one tensor. Safe for use by several threads, as long as they write elsewhere. */
public interface PageMemory extends AutoCloseable {

    /** Where such memory comes from. */
    interface Source {
        /** A tensor of half-precision numbers. */
        PageMemory allocate(long... shape);
    }

    /** What half-precision numbers of this shape take. */
    static long bytes(long... shape) {
        long bytes = Short.BYTES;
        for (long dimension : shape) {
            bytes *= dimension;
        }
        return bytes;
    }

    OnnxTensor tensor();

    /** Copies into the memory; when this returns, runs that begin see it. */
    void write(long offset, MemorySegment from);

    @Override
    void close();
}
