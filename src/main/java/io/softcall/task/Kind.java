package io.softcall.task;

import java.util.OptionalDouble;

/** What a task answers, and so how label logits become probabilities and labels. */
public sealed interface Kind {

    /** Returns the bytes that this takes on the Java heap, besides the object itself. */
    long heapBytes();

    /**
     * One label for a text: the one with the highest logit. Probabilities are a softmax.
     *
     * @param abstainThreshold the probability that this label must reach; otherwise the answer has no label
     */
    record OneLabel(OptionalDouble abstainThreshold) implements Kind {

        @Override
        public long heapBytes() {
            return 0;
        }
    }

    /**
     * Any number of labels for a text. Probabilities are sigmoids.
     *
     * @param thresholds [labels]: the probability that each label must reach; must not be changed afterwards
     */
    record MultiLabel(double[] thresholds) implements Kind {

        @Override
        public long heapBytes() {
            return (long) Double.BYTES * thresholds.length;
        }
    }
}
