package io.softcall.inference.batching;

import java.time.Duration;

/** How long a token of a batch takes, by the latest batches. Each batch weighs 7/8 of the one after it. */
final class TokenRate {

    private static final double DECAY = 7 / 8.0;

    /** What is assumed before the first batch. */
    private static final double FIRST_NANOS = 1e6;

    private double tokens;
    private double nanos;

    void record(int tokens, long nanos) {
        this.tokens = DECAY * this.tokens + tokens;
        this.nanos = DECAY * this.nanos + nanos;
    }

    /** Returns how many tokens are computed in {@code time}. */
    int tokensIn(Duration time) {
        double each = tokens == 0 ? FIRST_NANOS : nanos / tokens;
        return (int) Math.clamp(time.toNanos() / each, 1, Integer.MAX_VALUE);
    }
}
