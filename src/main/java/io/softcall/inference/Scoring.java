package io.softcall.inference;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.task.Kind;
import io.softcall.task.Task;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Turns a hidden row into a prediction, as the task's kind has it. */
final class Scoring {

    private Scoring() {}

    /**
     * @throws SoftcallException {@code ARTIFACT_REFUSED} if a logit is not finite, because the task's values are too large
     */
    static Classification.Prediction score(Task task, float[] hidden, int tokens) {
        Kind.Classification classification = task.classification();
        float[] logits = classification.head().logits(hidden);
        for (int i = 0; i < logits.length; i++) {
            requireFinite(task, i, logits[i]);
        }
        return switch (classification) {
            case Kind.OneLabel kind -> oneLabel(kind, logits, softmax(logits, kind.temperature()), tokens);
            case Kind.MultiLabel kind -> multiLabel(kind, logits, sigmoids(logits, kind.temperature()), tokens);
        };
    }

    private static Classification.OneLabel oneLabel(
            Kind.OneLabel kind, float[] logits, double[] probabilities, int tokens) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        boolean abstained = probabilities[best] < kind.abstainThreshold().orElse(0);
        return new Classification.OneLabel(best, abstained, logits, probabilities, tokens);
    }

    private static Classification.MultiLabel multiLabel(
            Kind.MultiLabel kind, float[] logits, double[] probabilities, int tokens) {
        List<Integer> labels = new ArrayList<>();
        for (int i = 0; i < probabilities.length; i++) {
            if (probabilities[i] >= kind.thresholds()[i]) {
                labels.add(i);
            }
        }
        // The sort is stable, so among equal probabilities the smallest index comes first.
        labels.sort(Comparator.comparingDouble((Integer label) -> probabilities[label])
                .reversed());
        return new Classification.MultiLabel(labels, logits, probabilities, tokens);
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

    /** Returns {@code sigmoid(logits / temperature)} of each logit. A logit of any size gives a number from 0 to 1. */
    private static double[] sigmoids(float[] logits, double temperature) {
        double[] probabilities = new double[logits.length];
        for (int i = 0; i < logits.length; i++) {
            probabilities[i] = 1 / (1 + Math.exp(-logits[i] / temperature));
        }
        return probabilities;
    }
}
