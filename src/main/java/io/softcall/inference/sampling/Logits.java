package io.softcall.inference.sampling;

import io.softcall.inference.sampling.Sampled.Scored;
import java.util.Arrays;
import java.util.List;

/** What is read from a row of logits. The plain loops are those that the compiler computes for several values at once. */
final class Logits {

    private Logits() {}

    /**
     * Returns the id of the largest logit, the smallest among equals.
     *
     * @throws IllegalArgumentException if a logit is infinite or not a number; the message names the token
     */
    static int mostProbable(float[] logits, int offset, int vocabulary) {
        float largest = Float.NEGATIVE_INFINITY;
        int most = 0;
        for (int id = 0; id < vocabulary; id++) {
            float logit = logits[offset + id];
            // False for all logits but the few that are larger than those before, and for one that is not finite.
            if (!(logit <= largest && logit >= -Float.MAX_VALUE)) {
                if (!Float.isFinite(logit)) {
                    throw new IllegalArgumentException("token %d has the logit %s".formatted(id, logit));
                }
                largest = logit;
                most = id;
            }
        }
        return most;
    }

    /** Returns the id of the largest value, the smallest among equals. */
    static int argmax(float[] values) {
        float largest = Float.NEGATIVE_INFINITY;
        for (float value : values) {
            largest = Math.max(largest, value);
        }
        int id = 0;
        while (values[id] != largest) {
            id++;
        }
        return id;
    }

    /**
     * Returns the logarithm of the sum of {@code exp(logit)}.
     *
     * @param largest the largest logit
     */
    static double logSumExp(float[] logits, int offset, float largest, Workspace workspace) {
        float[] values = workspace.values;
        System.arraycopy(logits, offset, values, 0, values.length);
        Exponential.replace(values, workspace.powers, largest, 1);
        return largest + Math.log(Weights.sum(values, 0, values.length));
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
