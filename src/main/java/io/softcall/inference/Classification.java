package io.softcall.inference;

import io.softcall.task.Task;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

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

    /**
     * The answer to one input.
     *
     * @param best index of the label with the highest logit; the smallest index if several are equal
     * @param abstained whether the best probability is below the task's threshold
     * @param logits [labels], before the temperature
     * @param probabilities [labels]
     * @param tokens tokens of the input with its template, without the prompt
     */
    public record Prediction(int best, boolean abstained, float[] logits, double[] probabilities, int tokens) {}

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
