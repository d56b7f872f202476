package io.softcall.inference.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnxruntime.OrtException;
import io.softcall.ConfigMappings;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.Tiny;
import io.softcall.inference.onnx.session.ForwardFailure;
import io.softcall.inference.onnx.session.SessionResources;
import io.softcall.inference.opening.Opening;
import java.util.List;
import java.util.Map;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The device that computes, its defaults, and the result if it is unavailable. */
class DeviceTest {

    /** A device number that no machine has, so that the result does not depend on a GPU, or on CUDA in this build. */
    private static final String NO_SUCH_GPU = "4711";

    @Test
    void cudaFailsWhereItCannotBeHadAndSaysWhy() {
        InferenceConfig config = config(Map.of("softcall.provider", "cuda", "softcall.cuda.device", NO_SUCH_GPU));
        IllegalStateException failure = assertThrows(IllegalStateException.class, () -> Opening.Serving.choose(config));
        assertTrue(failure.getMessage().startsWith("softcall.provider=cuda: "), failure::getMessage);
        String why = failure.getMessage().substring("softcall.provider=cuda: ".length());
        assertTrue(
                List.of(
                                "this build has ONNX Runtime without CUDA",
                                "ONNX Runtime's CUDA provider does not load: ",
                                "GPU " + NO_SUCH_GPU + ": ")
                        .stream()
                        .anyMatch(why::startsWith),
                why);
    }

    @Test
    void autoServesOnTheProcessorThen() {
        InferenceConfig config = config(Map.of("softcall.provider", "auto", "softcall.cuda.device", NO_SUCH_GPU));
        Opening.Serving serving = Opening.Serving.choose(config);
        assertEquals(Device.CPU, serving.device());
        assertEquals("softcall.provider=auto found no GPU", serving.why());
    }

    @Test
    void theVariantSuitsTheDevice() {
        assertEquals(
                "fp16", Bundle.open(Tiny.BASE, Device.CUDA.variants()).served().name());
        assertEquals(List.of("fp16", "fp32"), Device.CUDA.variants());
        IllegalArgumentException none =
                assertThrows(IllegalArgumentException.class, () -> Bundle.open(Tiny.BASE, Device.CPU.variants()));
        assertTrue(none.getMessage().contains("softcall.base.variant=int8"), none::getMessage);
    }

    @Test
    void boundsOnRunsSuitTheDeviceUnlessTheyAreSet() {
        InferenceConfig.Batch set =
                config(Map.of("softcall.batch.tokens", "99")).batch();
        assertEquals(new Device.Batching(99, 16, 4096, 1024, Math.min(Cores.usable(), 4)), Device.CPU.batching(set));
        assertEquals(new Device.Batching(99, 2048, 32768, 8192, 2), Device.CUDA.batching(set));
    }

    @Test
    void runsShareTheThreads() {
        assertEquals(1, threadsOfRun(2, 2));
        assertEquals(4, threadsOfRun(16, 4));
        assertEquals(1, threadsOfRun(3, 4));
        assertEquals(Cores.usable(), threadsOfRun(0, 1));
    }

    private static int threadsOfRun(int threads, int runs) {
        return new SessionResources(threads, 20, true).shareOf(runs).threads();
    }

    @Test
    void aGpuHasFewSizesAndAProcessorAll() {
        assertEquals(
                List.of(1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64),
                sizes(Device.CUDA::rows, 64));
        assertEquals(
                List.of(18, 20, 22, 24, 26, 28, 30, 32, 36, 40),
                sizes(Device.CUDA::tokens, 40).subList(16, 26));
        assertTrue(IntStream.rangeClosed(1, 10_000)
                .allMatch(size -> Device.CUDA.rows(size) >= size
                        && Device.CUDA.rows(size) <= Math.min(1.25 * size, size + 15)
                        && Device.CUDA.tokens(size) >= size
                        && Device.CUDA.tokens(size) <= 1.125 * size));
        assertEquals(17, Device.CPU.rows(17));
        assertEquals(17, Device.CPU.tokens(17));
    }

    private static List<Integer> sizes(IntUnaryOperator padded, int largest) {
        return IntStream.rangeClosed(1, largest).map(padded).distinct().boxed().toList();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "Non-zero status code returned while running MatMul node. Failed to allocate memory for requested buffer of size 4096",
                "Available memory of 10 is smaller than requested bytes of 4096",
                "CUDA failure 2: out of memory ; GPU=0 ; hostname=here",
                "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0"
            })
    void aRunWithoutMemoryIsToldFromOneThatFailed(String message) {
        var failure = assertInstanceOf(SoftcallException.class, ForwardFailure.of(3, new OrtException(message)));
        assertEquals(Reason.OUT_OF_MEMORY, failure.reason());
        assertInstanceOf(IllegalStateException.class, ForwardFailure.of(3, new OrtException("Got invalid dimensions")));
    }

    private static InferenceConfig config(Map<String, String> settings) {
        return ConfigMappings.of(InferenceConfig.class, settings);
    }
}
