package io.softcall.inference.sampling;

import java.util.Map;
import java.util.OptionalInt;

/**
 * How tokens are chosen. The parts apply in this order, as in vLLM: bias, penalties, temperature, {@code minP}, {@code topK},
 * {@code topP}.
 *
 * @param temperature the divisor of the logits; 0: the most probable token, the smallest id among equals
 * @param topP the smallest set of most probable tokens that have this probability together is drawn from; in (0, 1]
 * @param topK how many of the most probable tokens are drawn from; 0: all
 * @param minP tokens below this share of the most probable one's probability are not drawn; 0 to 1
 * @param repetitionPenalty divides positive logits, and multiplies negative ones, of tokens in the prompt or the answer;
 *     greater than 0, 1: none (Keskar et al. 2019, CTRL)
 * @param presencePenalty subtracted from the logits of tokens in the answer; -2 to 2
 * @param frequencyPenalty subtracted for each time that a token is in the answer; -2 to 2
 * @param logitBias added to the logits of tokens by their ids; -100 to 100 each
 * @param seed the random number of a step depends on it and the number of the step alone
 * @param topLogprobs how many tokens' log-probabilities are reported with that of the chosen one, of the unchanged
 *     distribution; empty: none at all
 */
public record Sampling(
        double temperature,
        double topP,
        int topK,
        double minP,
        double repetitionPenalty,
        double presencePenalty,
        double frequencyPenalty,
        Map<Integer, Float> logitBias,
        long seed,
        OptionalInt topLogprobs) {

    /** The most probable token, always. */
    public static final Sampling GREEDY = new Sampling(0, 1, 0, 0, 1, 0, 0, Map.of(), 0, OptionalInt.empty());

    public Sampling {
        logitBias = Map.copyOf(logitBias);
    }
}
