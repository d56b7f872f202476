package io.softcall.inference.sampling;

import io.softcall.inference.sampling.Sampled.Scored;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Chooses the tokens of one answer, one after the other. Not safe for use by several threads. */
public final class Sampler {

    /** Below it a temperature counts as 0, as in vLLM; the division by it would overflow. */
    private static final double LOWEST_TEMPERATURE = 1e-5;

    private final Sampling sampling;
    private final int vocabulary;
    private final boolean greedy;
    private final boolean penalized;
    private final boolean biased;
    private final int[] biasedIds;
    private final float[] biases;
    private final TokenCounts counts = new TokenCounts();

    private int step;

    /**
     * @param prompt the ids of the text that is answered, which the repetition penalty counts too
     * @param vocabulary the number of tokens of the base
     * @throws IllegalArgumentException if an id is not one of the vocabulary
     */
    public Sampler(Sampling sampling, long[] prompt, int vocabulary) {
        this.sampling = sampling;
        this.vocabulary = vocabulary;
        greedy = sampling.temperature() < LOWEST_TEMPERATURE;
        penalized = sampling.repetitionPenalty() != 1
                || sampling.presencePenalty() != 0
                || sampling.frequencyPenalty() != 0;
        biased = !sampling.logitBias().isEmpty();
        biasedIds = new int[sampling.logitBias().size()];
        biases = new float[biasedIds.length];
        int at = 0;
        for (Map.Entry<Integer, Float> bias : sampling.logitBias().entrySet()) {
            biasedIds[at] = requireToken(bias.getKey());
            biases[at++] = bias.getValue();
        }
        if (sampling.repetitionPenalty() != 1) {
            for (long id : prompt) {
                counts.add(requireToken(id), 0);
            }
        }
    }

    private int requireToken(long id) {
        if (id < 0 || id >= vocabulary) {
            throw new IllegalArgumentException(
                    "token %d is not one of the base's, 0 to %d".formatted(id, vocabulary - 1));
        }
        return (int) id;
    }

    /** Returns the number of tokens chosen so far. */
    public int step() {
        return step;
    }

    /**
     * Chooses the next token.
     *
     * @param logits a row of [vocabulary] begins at {@code offset}; nothing is changed
     * @param workspace of this vocabulary
     * @throws IllegalArgumentException if a logit is infinite or not a number, or no token is permitted
     */
    public Sampled next(float[] logits, int offset, Permitted permitted, Workspace workspace) {
        int most = Logits.mostProbable(logits, offset, vocabulary);
        int id = choose(logits, offset, most, permitted, workspace);
        if (penalized) {
            counts.add(id, 1);
        }
        step++;
        if (sampling.topLogprobs().isEmpty()) {
            return new Sampled(id, Double.NaN, List.of());
        }
        double logSumExp = Logits.logSumExp(logits, offset, logits[offset + most], workspace);
        List<Scored> top =
                Logits.top(logits, offset, vocabulary, sampling.topLogprobs().getAsInt(), logSumExp);
        return new Sampled(id, logits[offset + id] - logSumExp, top);
    }

    private int choose(float[] logits, int offset, int most, Permitted permitted, Workspace workspace) {
        if (greedy && !penalized && !biased && isPermitted(permitted, most)) {
            return most;
        }
        float[] values = workspace.values;
        System.arraycopy(logits, offset, values, 0, vocabulary);
        adjust(values);
        restrict(values, permitted, workspace.scratch);
        int best = Logits.argmax(values);
        if (values[best] == Float.NEGATIVE_INFINITY) {
            throw new IllegalArgumentException("no token is permitted");
        }
        return greedy ? best : draw(workspace, values[best]);
    }

    private static boolean isPermitted(Permitted permitted, int id) {
        return switch (permitted) {
            case Permitted.Except except -> !contains(except.ids(), id);
            case Permitted.Only only -> contains(only.ids(), id);
        };
    }

    private static boolean contains(int[] ids, int id) {
        for (int each : ids) {
            if (each == id) {
                return true;
            }
        }
        return false;
    }

    /** Adds the bias, then applies the penalties. */
    private void adjust(float[] values) {
        for (int i = 0; i < biasedIds.length; i++) {
            values[biasedIds[i]] = bounded(values[biasedIds[i]] + biases[i]);
        }
        if (penalized) {
            counts.forEach((id, count) -> values[id] = penalized(values[id], count));
        }
    }

    private float penalized(float logit, int count) {
        double value = logit > 0 ? logit / sampling.repetitionPenalty() : logit * sampling.repetitionPenalty();
        value -= count * sampling.frequencyPenalty();
        value -= count > 0 ? sampling.presencePenalty() : 0;
        return bounded(value);
    }

    private static float bounded(double value) {
        return (float) Math.clamp(value, -Float.MAX_VALUE, Float.MAX_VALUE);
    }

    /** Sets the values of tokens that are not permitted to negative infinity. */
    private static void restrict(float[] values, Permitted permitted, float[] scratch) {
        switch (permitted) {
            case Permitted.Except except -> {
                for (int id : except.ids()) {
                    values[id] = Float.NEGATIVE_INFINITY;
                }
            }
            case Permitted.Only only -> {
                System.arraycopy(values, 0, scratch, 0, values.length);
                Arrays.fill(values, Float.NEGATIVE_INFINITY);
                for (int id : only.ids()) {
                    values[id] = scratch[id];
                }
            }
        }
    }

    private int draw(Workspace workspace, float largest) {
        float[] weights = workspace.values;
        // A scale of 0 would make a NaN of the tokens that are not permitted.
        float scale = Math.max((float) (1 / sampling.temperature()), Float.MIN_NORMAL);
        Exponential.replace(weights, workspace.powers, largest, scale);
        if (sampling.minP() > 0) {
            float lowest = (float) sampling.minP();
            for (int id = 0; id < weights.length; id++) {
                weights[id] = weights[id] < lowest ? 0 : weights[id];
            }
        }
        float[] selected = workspace.scratch;
        if (sampling.topK() > 0) {
            int count = Weights.selectLargest(weights, sampling.topK(), selected);
            Selection.largest(selected, count, Math.min(sampling.topK(), count)).retain(weights);
        }
        if (sampling.topP() < 1) {
            double total = Weights.sum(weights, 0, weights.length);
            // All weights below this sum to less than 1 - topP together, so that none of them is needed.
            double lowest = (1 - sampling.topP()) * total / weights.length;
            int count = Weights.select(weights, (float) lowest, selected);
            Selection.nucleus(selected, count, sampling.topP() * total).retain(weights);
        }
        return Weights.draw(weights, Seeded.uniform(sampling.seed(), step));
    }
}
