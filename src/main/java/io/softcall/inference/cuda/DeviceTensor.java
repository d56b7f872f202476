package io.softcall.inference.cuda;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.TensorInfo;
import ai.onnxruntime.TensorInfo.OnnxTensorType;
import io.softcall.inference.memory.Native;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * Creates tensors over memory of a device. ONNX Runtime's Java API can create tensors of host memory only, so this class calls
 * the C API. The results can be used like other tensors. The numbers below are indices into {@code OrtApi}, which only grows at
 * its end.
 */
public final class DeviceTensor {

    private static final Linker LINKER = Linker.nativeLinker();
    private static final AddressLayout POINTER = ValueLayout.ADDRESS;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong SIZE = ValueLayout.JAVA_LONG;

    private static final int API_VERSION = 20;
    private static final int ERROR_MESSAGE = 2;
    private static final int CREATE_TENSOR_WITH_DATA = 49;
    private static final int CREATE_MEMORY_INFO = 68;
    private static final int LARGEST_INDEX = 100;

    private static final int DEVICE_ALLOCATOR = 0;
    private static final int DEFAULT_MEMORY = 0;
    private static final int FLOAT16 = 10;

    private DeviceTensor() {}

    /**
     * Creates a tensor of half-precision numbers at an address.
     *
     * @param memory ONNX Runtime's name of the memory: {@code Cuda} or {@code Cpu}
     * @param address memory of {@code bytes} bytes that the caller owns, and frees only after the tensor was closed
     * @throws IllegalStateException if ONNX Runtime refuses, or its Java classes are not those that this code expects
     */
    public static OnnxTensor of(String memory, int device, MemorySegment address, long bytes, long... shape) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment api = api();
            MemorySegment result = arena.allocate(POINTER);
            MethodHandle createInfo =
                    function(api, CREATE_MEMORY_INFO, FunctionDescriptor.of(POINTER, POINTER, INT, INT, INT, POINTER));
            MemorySegment name = arena.allocateFrom(memory);
            check(api, Native.call(() -> createInfo.invoke(name, DEVICE_ALLOCATOR, device, DEFAULT_MEMORY, result)));
            MemorySegment info = result.get(POINTER, 0);
            MethodHandle create = function(
                    api,
                    CREATE_TENSOR_WITH_DATA,
                    FunctionDescriptor.of(POINTER, POINTER, POINTER, SIZE, POINTER, SIZE, INT, POINTER));
            MemorySegment sizes = arena.allocateFrom(SIZE, shape);
            check(
                    api,
                    Native.call(
                            () -> create.invoke(info, address, bytes, sizes, (long) shape.length, FLOAT16, result)));
            return wrap(result.get(POINTER, 0).address(), shape);
        }
    }

    private static MemorySegment api() {
        SymbolLookup library = SymbolLookup.libraryLookup(
                CudaRuntime.loaded("libonnxruntime.so").orElseThrow(), Arena.global());
        MethodHandle base = LINKER.downcallHandle(library.findOrThrow("OrtGetApiBase"), FunctionDescriptor.of(POINTER));
        MemorySegment getApi = ((MemorySegment) Native.call(base::invoke))
                .reinterpret(POINTER.byteSize())
                .get(POINTER, 0);
        MethodHandle get = LINKER.downcallHandle(getApi, FunctionDescriptor.of(POINTER, INT));
        return ((MemorySegment) Native.call(() -> get.invoke(API_VERSION)))
                .reinterpret(LARGEST_INDEX * POINTER.byteSize());
    }

    private static MethodHandle function(MemorySegment api, int index, FunctionDescriptor descriptor) {
        return LINKER.downcallHandle(api.getAtIndex(POINTER, index), descriptor);
    }

    private static void check(MemorySegment api, Object status) {
        MemorySegment failure = (MemorySegment) status;
        if (failure.address() != 0) {
            MethodHandle message = function(api, ERROR_MESSAGE, FunctionDescriptor.of(POINTER, POINTER));
            MemorySegment text = (MemorySegment) Native.call(() -> message.invoke(failure));
            throw new IllegalStateException("ONNX Runtime cannot create a tensor of device memory: "
                    + text.reinterpret(Integer.MAX_VALUE).getString(0));
        }
    }

    /** Wraps a native tensor, through constructors that ONNX Runtime does not make public. */
    private static OnnxTensor wrap(long handle, long[] shape) {
        try {
            var info = TensorInfo.class.getDeclaredConstructor(long[].class, OnnxJavaType.class, OnnxTensorType.class);
            var tensor = OnnxTensor.class.getDeclaredConstructor(long.class, long.class, TensorInfo.class);
            info.setAccessible(true);
            tensor.setAccessible(true);
            return tensor.newInstance(
                    handle,
                    0L,
                    info.newInstance(
                            shape, OnnxJavaType.FLOAT16, OnnxTensorType.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16));
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(
                    "this version of ONNX Runtime lacks the constructors that this code needs", e);
        }
    }
}
