package io.softcall.inference.memory;

import ai.onnxruntime.OnnxTensor;
import java.lang.foreign.MemorySegment;

/**
 * Memory that forward passes read without a copy, as one tensor. Several threads may use it, if they write to different places.
 */
public interface PageMemory extends AutoCloseable {

    /** Allocates such memory. */
    interface Source {
        /** Allocates a tensor of half-precision numbers. */
        PageMemory allocate(long... shape);
    }

    /** Returns the bytes that half-precision numbers of this shape take. */
    static long bytes(long... shape) {
        long bytes = Short.BYTES;
        for (long dimension : shape) {
            bytes *= dimension;
        }
        return bytes;
    }

    OnnxTensor tensor();

    /** Copies bytes into the memory at an offset in bytes. Forward passes that begin after this call see them. */
    void write(long offset, MemorySegment from);

    @Override
    void close();
}
