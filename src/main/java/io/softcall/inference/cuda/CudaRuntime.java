package io.softcall.inference.cuda;

import io.softcall.inference.memory.Native;
import java.io.IOException;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;

/** The functions of CUDA's runtime library that Softcall calls, for one device. Safe for use by several threads. */
final class CudaRuntime {

    private static final Linker LINKER = Linker.nativeLinker();
    private static final AddressLayout POINTER = ValueLayout.ADDRESS;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong SIZE = ValueLayout.JAVA_LONG;
    private static final int HOST_TO_DEVICE = 1;

    private final SymbolLookup library;
    private final int device;
    private final MethodHandle setDevice;
    private final MethodHandle malloc;
    private final MethodHandle free;
    private final MethodHandle memcpy;
    private final MethodHandle synchronize;
    private final MethodHandle memGetInfo;
    private final MethodHandle errorString;

    /** The memory of the device in bytes, including that of other processes. */
    public record Memory(long free, long total) {}

    /** @throws IllegalStateException if the device cannot be used; the message says why */
    CudaRuntime(int device) {
        this.device = device;
        library = SymbolLookup.libraryLookup(
                loaded("libcudart.so")
                        .orElseThrow(
                                () -> new IllegalStateException("ONNX Runtime has not loaded CUDA's runtime library")),
                Arena.global());
        setDevice = function("cudaSetDevice", FunctionDescriptor.of(INT, INT));
        malloc = function("cudaMalloc", FunctionDescriptor.of(INT, POINTER, SIZE));
        free = function("cudaFree", FunctionDescriptor.of(INT, POINTER));
        memcpy = function("cudaMemcpy", FunctionDescriptor.of(INT, POINTER, POINTER, SIZE, INT));
        synchronize = function("cudaStreamSynchronize", FunctionDescriptor.of(INT, POINTER));
        memGetInfo = function("cudaMemGetInfo", FunctionDescriptor.of(INT, POINTER, POINTER));
        errorString = function("cudaGetErrorString", FunctionDescriptor.of(POINTER, INT));
        memory();
    }

    /**
     * Finds the file of a library that this process has loaded. Always empty on systems other than Linux, where this build has
     * no CUDA.
     */
    static Optional<Path> loaded(String name) {
        try (Stream<String> mapped = Files.lines(Path.of("/proc/self/maps"))) {
            return mapped.filter(line -> line.contains("/" + name))
                    .map(line -> Path.of(line.substring(line.indexOf('/'))))
                    .findFirst();
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    private MethodHandle function(String name, FunctionDescriptor descriptor) {
        return LINKER.downcallHandle(library.findOrThrow(name), descriptor);
    }

    private void check(String what, Object status) {
        if ((int) status != 0) {
            MemorySegment text = (MemorySegment) Native.call(() -> errorString.invoke((int) status));
            throw new IllegalStateException("GPU %d: %s: %s"
                    .formatted(device, what, text.reinterpret(Integer.MAX_VALUE).getString(0)));
        }
    }

    /** Selects the device for the current thread, because CUDA keeps one device per thread. */
    private void use() {
        check("cudaSetDevice", Native.call(() -> setDevice.invoke(device)));
    }

    Memory memory() {
        use();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment free = arena.allocate(SIZE);
            MemorySegment total = arena.allocate(SIZE);
            check("cudaMemGetInfo", Native.call(() -> memGetInfo.invoke(free, total)));
            return new Memory(free.get(SIZE, 0), total.get(SIZE, 0));
        }
    }

    /** @throws IllegalStateException if the device has too little free memory */
    MemorySegment allocate(long bytes) {
        use();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment pointer = arena.allocate(POINTER);
            check("cudaMalloc of %,d bytes".formatted(bytes), Native.call(() -> malloc.invoke(pointer, bytes)));
            return pointer.get(POINTER, 0);
        }
    }

    void free(MemorySegment memory) {
        use();
        check("cudaFree", Native.call(() -> free.invoke(memory)));
    }

    /**
     * Copies bytes to the device, and waits until they are there. Sessions use streams of their own, which would not wait for
     * the copy.
     */
    void copyToDevice(long address, MemorySegment from) {
        use();
        check(
                "cudaMemcpy",
                Native.call(
                        () -> memcpy.invoke(MemorySegment.ofAddress(address), from, from.byteSize(), HOST_TO_DEVICE)));
        check("cudaStreamSynchronize", Native.call(() -> synchronize.invoke(MemorySegment.NULL)));
    }
}
