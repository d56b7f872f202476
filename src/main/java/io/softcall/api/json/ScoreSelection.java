package io.softcall.api.json;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** The labels whose probabilities an answer names. */
public sealed interface ScoreSelection {

    /** Returns probabilities by label. The order of the entries is that of the answer. */
    default Map<String, Double> of(List<String> labels, double[] probabilities) {
        Map<String, Double> scores = new LinkedHashMap<>();
        select(probabilities).forEach(i -> scores.put(labels.get(i), probabilities[i]));
        return scores;
    }

    /** Returns the indices of labels, in the order of the answer. */
    IntStream select(double[] probabilities);

    /** All labels, in the order of the task. */
    record All() implements ScoreSelection {

        @Override
        public IntStream select(double[] probabilities) {
            return IntStream.range(0, probabilities.length);
        }
    }

    /**
     * The most probable labels, the best first. Among equally probable ones the order is that of the task.
     *
     * @param count the largest number of labels, at least 1
     * @param least the smallest probability
     */
    record Best(int count, double least) implements ScoreSelection {

        @Override
        public IntStream select(double[] probabilities) {
            return IntStream.range(0, probabilities.length)
                    .filter(i -> probabilities[i] >= least)
                    .boxed()
                    .sorted(Comparator.comparingDouble((Integer i) -> probabilities[i])
                            .reversed())
                    .limit(count)
                    .mapToInt(i -> i);
        }
    }
}
