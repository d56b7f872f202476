package io.softcall.inference;

import io.softcall.task.Task;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The answer to one call.
 *
 * @param task the version that answered
 * @param staleness how long ago the version was last validated; present if the store could not be reached
 * @param predictions one for each input, in order
 */
public record Classification(Task task, Optional<Duration> staleness, List<Prediction> predictions, Timings timings) {

    public Classification {
        predictions = List.copyOf(predictions);
    }

    /** The answer to one input. */
    public sealed interface Prediction {

        /** Returns the index of the label, the best one if there are several; empty if there is none. */
        OptionalInt label();

        /** Returns whether the task has refused to choose a label, because no probability is high enough. */
        boolean abstained();

        /** Returns the logits, [labels], before the temperature. */
        float[] logits();

        /** Returns the probabilities, [labels]. */
        double[] probabilities();

        /** Returns the tokens of the input with its template, without the prompt. */
        int tokens();

        /** Returns the probability of {@link #label}; without a label the highest probability. */
        default double score() {
            return label().isPresent()
                    ? probabilities()[label().getAsInt()]
                    : Arrays.stream(probabilities()).max().orElseThrow();
        }
    }

    /**
     * The answer of a task of one label.
     *
     * @param best index of the label with the highest logit; the smallest index if several are equal
     * @param abstained whether the best probability is below the task's threshold
     * @param probabilities their sum is 1
     */
    public record OneLabel(int best, boolean abstained, float[] logits, double[] probabilities, int tokens)
            implements Prediction {

        @Override
        public OptionalInt label() {
            return abstained ? OptionalInt.empty() : OptionalInt.of(best);
        }
    }

    /**
     * The answer of a task of any number of labels. No label is an answer, too, and not an abstention.
     *
     * @param labels indices of the labels whose probability reaches their threshold, by probability, the highest first
     * @param probabilities of each label on its own
     */
    public record MultiLabel(List<Integer> labels, float[] logits, double[] probabilities, int tokens)
            implements Prediction {

        public MultiLabel {
            labels = List.copyOf(labels);
        }

        @Override
        public OptionalInt label() {
            return labels.isEmpty() ? OptionalInt.empty() : OptionalInt.of(labels.getFirst());
        }

        @Override
        public boolean abstained() {
            return false;
        }
    }

    /**
     * The duration of each stage, in nanoseconds. Stages overlap: the store revalidates the version while the batch is
     * computed.
     *
     * @param fetch until the store has validated or delivered the version
     * @param prefix until the prefix is available
     * @param queue the longest wait of an input for its batch
     * @param infer the forward passes, one after the other
     */
    public record Timings(long fetch, long tokenize, long prefix, long queue, long infer) {}
}
