package io.softcall.inference.batching;

import java.time.Duration;

/** The rate at which the latest batches were computed. Each batch weighs 7/8 of the one after it. */
final class DrainRate {

    private static final double DECAY = 7 / 8.0;

    private double inputs;
    private double nanos;

    void record(int inputs, long nanos) {
        this.inputs = DECAY * this.inputs + inputs;
        this.nanos = DECAY * this.nanos + nanos;
    }

    /** Estimates the time in which {@code waiting} inputs are computed; zero before the first batch. */
    Duration timeFor(int waiting) {
        return Duration.ofNanos(inputs == 0 ? 0 : (long) (waiting * nanos / inputs));
    }
}
