package io.softcall.task;

import java.util.List;

/** Turns a hidden row into label logits. */
public final class LabelHead {

    private static final int STRING_BYTES = 56;

    private final List<String> labels;
    /** The weights as [hidden, labels], so that all products with one element of a hidden row are adjacent. */
    private final float[] columns;

    private final float[] bias;

    /**
     * @param labels distinct names, in the order of the rows of {@code weights}
     * @param weights [labels, hidden], row-major
     * @param bias [labels]; must not be changed afterwards
     */
    public LabelHead(List<String> labels, float[] weights, float[] bias) {
        if (bias.length != labels.size() || weights.length % bias.length != 0) {
            throw new IllegalArgumentException(
                    "%d labels, %d weights, %d biases".formatted(labels.size(), weights.length, bias.length));
        }
        this.labels = List.copyOf(labels);
        this.columns = columns(weights, bias.length);
        this.bias = bias;
    }

    private static float[] columns(float[] rows, int labels) {
        int hidden = rows.length / labels;
        float[] columns = new float[rows.length];
        for (int label = 0; label < labels; label++) {
            for (int i = 0; i < hidden; i++) {
                columns[i * labels + label] = rows[label * hidden + i];
            }
        }
        return columns;
    }

    /** Estimates the bytes that this takes on the Java heap. */
    long heapBytes() {
        return (long) Float.BYTES * (columns.length + bias.length)
                + labels.stream()
                        .mapToLong(label -> STRING_BYTES + Character.BYTES * label.length())
                        .sum();
    }

    /** Returns the names, in the order of the logits. */
    public List<String> labels() {
        return labels;
    }

    /**
     * Computes {@code weights @ hidden + bias}, summed in double precision.
     *
     * @param hidden the hidden row at the last token, [hidden]
     * @return [labels]
     */
    public float[] logits(float[] hidden) {
        double[] sums = new double[bias.length];
        for (int label = 0; label < sums.length; label++) {
            sums[label] = bias[label];
        }
        for (int i = 0; i < hidden.length; i++) {
            addColumn(sums, i, hidden[i]);
        }
        float[] logits = new float[sums.length];
        for (int label = 0; label < logits.length; label++) {
            logits[label] = (float) sums[label];
        }
        return logits;
    }

    /**
     * Adds the products with one element. The loop goes over labels, whose sums are independent, so the compiler uses vectors.
     */
    private void addColumn(double[] sums, int i, double times) {
        int column = i * sums.length;
        for (int label = 0; label < sums.length; label++) {
            sums[label] += columns[column + label] * times;
        }
    }
}
