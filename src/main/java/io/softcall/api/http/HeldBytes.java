package io.softcall.api.http;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.api.HttpConfig;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;

/** Counts the memory of the bodies of all calls in progress: of requests, and of answers that are being collected. */
@Singleton
public class HeldBytes {

    private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

    private final AtomicLong held = new AtomicLong();
    private final long most;

    HeldBytes(HttpConfig config, MeterRegistry metrics) {
        this.most = config.maxHeldBytes().asLongValue();
        Gauge.builder("softcall.http.body.bytes", held, AtomicLong::get)
                .baseUnit("bytes")
                .description("memory of the bodies of calls under way")
                .register(metrics);
    }

    /**
     * Counts more bytes of a body.
     *
     * @throws SoftcallException {@code OVERLOADED} if all bodies together would be too large; then these do not count
     */
    public void hold(long bytes) {
        if (held.addAndGet(bytes) > most) {
            release(bytes);
            throw SoftcallException.overloaded(
                    "the bodies of all calls together would be larger than softcall.http.max-held-bytes", RETRY_AFTER);
        }
    }

    public void release(long bytes) {
        held.addAndGet(-bytes);
    }
}
