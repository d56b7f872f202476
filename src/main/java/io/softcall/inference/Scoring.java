package io.softcall.inference;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.task.Task;

/** Turns a hidden row into a prediction. */
final class Scoring {

    private Scoring() {}

    /**
     * @throws SoftcallException {@code ARTIFACT_REFUSED} if a logit is not finite, because the task's values are too large
     */
    static Classification.Prediction score(Task task, float[] hidden, int tokens) {
        float[] logits = task.head().logits(hidden);
        for (int i = 0; i < logits.length; i++) {
            requireFinite(task, i, logits[i]);
        }
        double[] probabilities = softmax(logits, task.temperature());
        int best = 0;
        for (int i = 1; i < logits.length; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        double threshold = task.abstainThreshold().orElse(0);
        return new Classification.Prediction(best, probabilities[best] < threshold, logits, probabilities, tokens);
    }

    private static void requireFinite(Task task, int label, float logit) {
        if (!Float.isFinite(logit)) {
            throw new SoftcallException(
                    Reason.ARTIFACT_REFUSED,
                    "task \"%s\", version %s, is refused: its label %d has the logit %s with a text; the prompt, label_head or"
                                    .formatted(task.name(), task.version(), label, logit)
                            + " label_bias hold values that are too large");
        }
    }

    /** Returns {@code softmax(logits / temperature)}. It subtracts the largest logit first, so that nothing overflows. */
    private static double[] softmax(float[] logits, double temperature) {
        double largest = Double.NEGATIVE_INFINITY;
        for (float logit : logits) {
            largest = Math.max(largest, logit);
        }
        double[] probabilities = new double[logits.length];
        double sum = 0;
        for (int i = 0; i < logits.length; i++) {
            probabilities[i] = Math.exp((logits[i] - largest) / temperature);
            sum += probabilities[i];
        }
        for (int i = 0; i < logits.length; i++) {
            probabilities[i] /= sum;
        }
        return probabilities;
    }
}
