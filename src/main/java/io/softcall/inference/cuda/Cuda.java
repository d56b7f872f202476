package io.softcall.inference.cuda;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtProvider;
import ai.onnxruntime.OrtSession.SessionOptions;
import ai.onnxruntime.providers.OrtCUDAProviderOptions;
import io.softcall.inference.memory.OnnxRuntime;
import io.softcall.inference.memory.PageMemory;
import io.softcall.inference.model.InferenceConfig;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/** A GPU on which ONNX Runtime computes. */
public final class Cuda implements PageMemory.Source {

    private static final long STACK_BYTES = 64 << 20;

    private final InferenceConfig.Cuda config;
    private final CudaRuntime runtime;

    /**
     * Opens the GPU, on a thread with a large stack. If a library is missing, ONNX Runtime reports it with a deep recursion
     * that overflows a stack of Java's default size, which ends the process.
     *
     * @throws IllegalStateException if there is no such GPU, or this build cannot use it; the message says why
     */
    public static Cuda open(InferenceConfig.Cuda config) {
        try {
            return CompletableFuture.supplyAsync(() -> new Cuda(config), task -> Thread.ofPlatform()
                            .name("open-cuda")
                            .stackSize(STACK_BYTES)
                            .start(task))
                    .join();
        } catch (CompletionException e) {
            throw new IllegalStateException(e.getCause().getMessage(), e.getCause());
        }
    }

    private Cuda(InferenceConfig.Cuda config) {
        this.config = config;
        // The environment must exist first, because it logs why a provider does not load.
        OnnxRuntime.environment();
        if (!OrtEnvironment.getAvailableProviders().contains(OrtProvider.CUDA)) {
            throw new IllegalStateException(
                    "this build has ONNX Runtime without CUDA; `./mvnw package -Pcuda` makes one with it");
        }
        try (SessionOptions options = new SessionOptions()) {
            configure(options);
        } catch (OrtException e) {
            throw new IllegalStateException("ONNX Runtime's CUDA provider does not load: " + e.getMessage(), e);
        }
        this.runtime = new CudaRuntime(config.device());
    }

    /** Configures a session to compute on this GPU. */
    public void configure(SessionOptions options) throws OrtException {
        try (OrtCUDAProviderOptions cuda = new OrtCUDAProviderOptions(config.device())) {
            cuda.add("gpu_mem_limit", Long.toString(config.memoryLimit().asLongValue()));
            // The arena grows by what a forward pass requests. Growth by powers of two would waste memory below the
            // limit.
            cuda.add("arena_extend_strategy", "kSameAsRequested");
            cuda.add("use_tf32", config.tf32() ? "1" : "0");
            cuda.add("sdpa_kernel", Integer.toString(config.attention().bits));
            options.addCUDA(cuda);
        }
    }

    /** Returns the current memory of the GPU, including that of other processes. */
    public CudaRuntime.Memory memory() {
        return runtime.memory();
    }

    @Override
    public PageMemory allocate(long... shape) {
        return new DeviceMemory(shape);
    }

    /** Describes the GPU for the log of the startup. */
    @Override
    public String toString() {
        CudaRuntime.Memory now = memory();
        return "GPU %d (%,d MB of %,d free)"
                .formatted(config.device(), now.free() / 1_000_000, now.total() / 1_000_000);
    }

    private final class DeviceMemory implements PageMemory {

        private final MemorySegment memory;
        private final OnnxTensor tensor;

        DeviceMemory(long... shape) {
            long bytes = PageMemory.bytes(shape);
            memory = runtime.allocate(bytes);
            tensor = DeviceTensor.of("Cuda", config.device(), memory, bytes, shape);
        }

        @Override
        public OnnxTensor tensor() {
            return tensor;
        }

        @Override
        public void write(long offset, MemorySegment from) {
            runtime.copyToDevice(memory.address() + offset, from);
        }

        @Override
        public void close() {
            tensor.close();
            runtime.free(memory);
        }
    }
}
