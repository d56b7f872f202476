package io.softcall.inference.batching;

import java.time.Duration;

/**
 * How long batches take: an overhead, above all one pass over the weights, and a time for each token. Both follow from the
 * latest batches by linear regression. Each batch weighs 31/32 of the one after it.
 */
final class TokenRate {

    private static final double DECAY = 31 / 32.0;

    /** What is assumed before two batches of different sizes. */
    private static final double FIRST_NANOS = 1e6;

    /** Fewer tokens would cost little but the overhead. */
    private static final int FEWEST = 16;

    private double weight;
    private double tokens;
    private double nanos;
    private double squares;
    private double products;

    void record(int batchTokens, long batchNanos) {
        weight = DECAY * weight + 1;
        tokens = DECAY * tokens + batchTokens;
        nanos = DECAY * nanos + batchNanos;
        squares = DECAY * squares + (double) batchTokens * batchTokens;
        products = DECAY * products + (double) batchTokens * batchNanos;
    }

    /** Returns how many tokens are computed in {@code time}, at least 16. */
    int tokensIn(Duration time) {
        double variance = weight * squares - tokens * tokens;
        double each = variance > 0 ? (weight * products - tokens * nanos) / variance : 0;
        if (each <= 0) {
            each = tokens == 0 ? FIRST_NANOS : nanos / tokens;
        }
        double overhead = weight == 0 ? 0 : Math.max(0, (nanos - each * tokens) / weight);
        return (int) Math.clamp((time.toNanos() - overhead) / each, FEWEST, Integer.MAX_VALUE);
    }
}
