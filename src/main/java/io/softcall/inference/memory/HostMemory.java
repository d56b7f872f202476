package io.softcall.inference.memory;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.ByteOrder;

/** Memory of the host. It comes from {@code calloc}, so that pages that were never written take no physical memory. */
public final class HostMemory implements PageMemory {

    private final Arena arena = Arena.ofShared();
    private final MemorySegment memory;
    private final OnnxTensor tensor;

    public HostMemory(long... shape) {
        long bytes = PageMemory.bytes(shape);
        memory = calloc(bytes, arena);
        try {
            tensor = OnnxTensor.createTensor(
                    OnnxRuntime.environment(),
                    memory.asByteBuffer().order(ByteOrder.nativeOrder()),
                    shape,
                    OnnxJavaType.FLOAT16);
        } catch (OrtException e) {
            arena.close();
            throw new IllegalStateException(
                    "cannot create a table of %,d bytes for prefixes: %s".formatted(bytes, e.getMessage()), e);
        }
    }

    private static MemorySegment calloc(long bytes, Arena arena) {
        Linker linker = Linker.nativeLinker();
        MethodHandle calloc = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("calloc"),
                FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
        MethodHandle free = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("free"), FunctionDescriptor.ofVoid(ValueLayout.ADDRESS));
        MemorySegment found = (MemorySegment) Native.call(() -> calloc.invoke(1L, bytes));
        if (found.address() == 0) {
            throw new IllegalStateException("cannot allocate %,d bytes of memory for prefixes".formatted(bytes));
        }
        return found.reinterpret(bytes, arena, gone -> Native.call(() -> free.invoke(gone)));
    }

    @Override
    public OnnxTensor tensor() {
        return tensor;
    }

    @Override
    public void write(long offset, MemorySegment from) {
        MemorySegment.copy(from, 0, memory, offset, from.byteSize());
    }

    @Override
    public void close() {
        tensor.close();
        arena.close();
    }
}
