package io.softcall.inference;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.util.concurrent.TimeUnit;

/** Records the durations of a call's stages as metrics. */
final class StageTimers {

    private final Timer fetch;
    private final Timer tokenize;
    private final Timer prefix;
    private final Timer queue;
    private final Timer infer;

    StageTimers(MeterRegistry metrics) {
        this.fetch = timer(metrics, "fetch", "until the store has validated or delivered the version");
        this.tokenize = timer(metrics, "tokenize", "text to token ids");
        this.prefix = timer(metrics, "prefix", "until the prefix is available");
        this.queue = timer(metrics, "queue", "longest wait of an input for its batch");
        this.infer = timer(metrics, "infer", "the model");
    }

    private static Timer timer(MeterRegistry metrics, String stage, String description) {
        return Timer.builder("softcall." + stage)
                .description(description)
                .publishPercentileHistogram()
                .register(metrics);
    }

    void record(Classification.Timings timings) {
        fetch.record(timings.fetch(), TimeUnit.NANOSECONDS);
        tokenize.record(timings.tokenize(), TimeUnit.NANOSECONDS);
        prefix.record(timings.prefix(), TimeUnit.NANOSECONDS);
        queue.record(timings.queue(), TimeUnit.NANOSECONDS);
        infer.record(timings.infer(), TimeUnit.NANOSECONDS);
    }
}
