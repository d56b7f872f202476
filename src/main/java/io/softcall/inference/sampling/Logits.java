package io.softcall.inference.sampling;

import io.softcall.inference.sampling.Sampled.Scored;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** What is read from a row of logits. The plain loops are those that the compiler computes for several values at once. */
final class Logits {

    private static final int EXPONENT = 0x7f800000;

    private Logits() {}

    /** @throws IllegalArgumentException if a logit is infinite or not a number; the message names the token */
    static void requireFinite(float[] logits, int offset, int vocabulary) {
        int largest = 0;
        for (int i = offset; i < offset + vocabulary; i++) {
            largest = Math.max(largest, Float.floatToRawIntBits(logits[i]) & EXPONENT);
        }
        if (largest == EXPONENT) {
            int id = IntStream.range(0, vocabulary)
                    .filter(each -> !Float.isFinite(logits[offset + each]))
                    .findFirst()
                    .orElseThrow();
            throw new IllegalArgumentException("token %d has the logit %s".formatted(id, logits[offset + id]));
        }
    }

    /** Returns the largest value. */
    static float largest(float[] values, int offset, int length) {
        float largest = values[offset];
        for (int i = offset; i < offset + length; i++) {
            largest = Math.max(largest, values[i]);
        }
        return largest;
    }

    /** Returns the id of the largest value, the smallest among equals. */
    static int argmax(float[] values, int offset, int length) {
        float largest = largest(values, offset, length);
        int id = 0;
        while (values[offset + id] != largest) {
            id++;
        }
        return id;
    }

    /**
     * Returns the logarithm of the sum of {@code exp(logit)}.
     *
     * @param scratch [vocabulary], which is overwritten
     */
    static double logSumExp(float[] logits, int offset, float[] scratch) {
        float largest = largest(logits, offset, scratch.length);
        System.arraycopy(logits, offset, scratch, 0, scratch.length);
        Exponential.replace(scratch, largest, 1);
        return largest + Math.log(Weights.sum(scratch, 0, scratch.length));
    }

    /** Returns the most probable tokens, the most probable first, and among equals the one with the smallest id. */
    static List<Scored> top(float[] logits, int offset, int vocabulary, int count, double logSumExp) {
        int[] ids = new int[Math.min(count, vocabulary)];
        int size = 0;
        for (int id = 0; ids.length > 0 && id < vocabulary; id++) {
            float logit = logits[offset + id];
            if (size < ids.length || logit > logits[offset + ids[size - 1]]) {
                size = Math.min(size + 1, ids.length);
                int at = size - 1;
                while (at > 0 && logit > logits[offset + ids[at - 1]]) {
                    ids[at] = ids[at - 1];
                    at--;
                }
                ids[at] = id;
            }
        }
        return Arrays.stream(ids)
                .mapToObj(id -> new Scored(id, logits[offset + id] - logSumExp))
                .toList();
    }
}
