package io.softcall.inference.sampling;

import java.util.List;

/**
 * A chosen token.
 *
 * @param id its id
 * @param logprob the natural logarithm of its probability in the unchanged distribution; NaN if no log-probabilities are wanted
 * @param top the most probable tokens, the most probable first; empty if none are wanted
 */
public record Sampled(int id, double logprob, List<Scored> top) {

    /** A token with its log-probability in the unchanged distribution. */
    public record Scored(int id, double logprob) {}

    public Sampled {
        top = List.copyOf(top);
    }
}
