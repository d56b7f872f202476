package io.softcall.inference.onnx.session;

import ai.onnxruntime.OrtException;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.util.regex.Pattern;

/** Turns failed forward passes into exceptions. */
public final class ForwardFailure {

    /**
     * The messages of ONNX Runtime's arena, CUDA and cuBLAS when memory is exhausted; ONNX Runtime has no error code for it.
     */
    private static final Pattern NO_MEMORY = Pattern.compile(
            "Failed to allocate memory|is smaller than requested bytes|out of memory|ALLOC_FAILED|bad_alloc|bad allocation");

    private ForwardFailure() {}

    /**
     * Returns a {@link SoftcallException} {@code OUT_OF_MEMORY} if memory was exhausted, otherwise an
     * {@link IllegalStateException}.
     */
    public static RuntimeException of(int sequences, OrtException e) {
        if (NO_MEMORY.matcher(e.getMessage()).find()) {
            return new SoftcallException(
                    Reason.OUT_OF_MEMORY,
                    "a batch of %d sequences ran out of memory (softcall.cuda.memory-limit): %s"
                            .formatted(sequences, e.getMessage()),
                    e);
        }
        return new IllegalStateException("a batch of %d sequences failed: %s".formatted(sequences, e.getMessage()), e);
    }
}
