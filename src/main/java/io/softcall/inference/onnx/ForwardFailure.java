package io.softcall.inference.onnx;

import ai.onnxruntime.OrtException;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.util.regex.Pattern;

/** What a failed run resources. */
public final class ForwardFailure {

    /** How ONNX Runtime's arena, CUDA and cuBLAS say it: there is no code of its own for it. */
    private static final Pattern NO_MEMORY = Pattern.compile(
            "Failed to allocate memory|is smaller than requested bytes|out of memory|ALLOC_FAILED|bad_alloc|bad allocation");

    private ForwardFailure() {}

    /** @return a {@link SoftcallException} {@code OUT_OF_MEMORY} where that is what happened */
    public static RuntimeException of(int rows, OrtException e) {
        if (NO_MEMORY.matcher(e.getMessage()).find()) {
            return new SoftcallException(
                    Reason.OUT_OF_MEMORY,
                    "a run of %d rows found no memory (softcall.cuda.memory-limit): %s".formatted(rows, e.getMessage()),
                    e);
        }
        return new IllegalStateException("a run of %d rows failed: %s".formatted(rows, e.getMessage()), e);
    }
}
