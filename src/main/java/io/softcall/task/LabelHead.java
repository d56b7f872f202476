package io.softcall.task;

import java.util.List;

/**
 * Turns a hidden row into label logits.
 *
 * @param labels names, distinct, in the order of the rows
 * @param weights [labels, hidden], row-major; not to be changed
 * @param bias [labels]; not to be changed
 */
public record LabelHead(List<String> labels, float[] weights, float[] bias) {

    public LabelHead {
        labels = List.copyOf(labels);
        if (bias.length != labels.size() || weights.length % bias.length != 0) {
            throw new IllegalArgumentException(
                    "%d labels, %d weights, %d biases".formatted(labels.size(), weights.length, bias.length));
        }
    }

    /**
     * {@code weights @ hidden + bias}, summed in double precision.
     *
     * @param hidden the trunk's last row
     * @return [labels]
     */
    public float[] logits(float[] hidden) {
        float[] logits = new float[bias.length];
        for (int label = 0; label < logits.length; label++) {
            int row = label * hidden.length;
            double sum = bias[label];
            for (int i = 0; i < hidden.length; i++) {
                sum += (double) weights[row + i] * hidden[i];
            }
            logits[label] = (float) sum;
        }
        return logits;
    }
}
