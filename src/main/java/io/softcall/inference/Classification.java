package io.softcall.inference;

import io.softcall.task.Task;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * The answer to one call.
 *
 * @param task the version that answered
 * @param staleness present when the store could not be asked: how long ago the version was last validated
 * @param predictions one a text, in order
 */
public record Classification(Task task, Optional<Duration> staleness, List<Prediction> predictions, Timings timings) {

    public Classification {
        predictions = List.copyOf(predictions);
    }

    /**
     * One text's answer.
     *
     * @param best index of the best label; the smallest of equals
     * @param abstained whether the best probability lies below the task's threshold
     * @param logits [labels], before the temperature
     * @param probabilities [labels]
     * @param tokens of the text with its template, the prompt not counted
     */
    public record Prediction(int best, boolean abstained, float[] logits, double[] probabilities, int tokens) {}

    /**
     * Where the time went, in nanoseconds. Stages overlap: the store is asked while the text runs.
     *
     * @param fetch until the store had validated or delivered the version
     * @param prefix until the prefix was at hand
     * @param queue longest wait of a row for its run
     * @param infer the runs, one after the other
     */
    public record Timings(long fetch, long tokenize, long prefix, long queue, long infer) {}
}
