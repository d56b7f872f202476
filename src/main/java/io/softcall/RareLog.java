package io.softcall;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import java.time.Duration;
import org.jboss.logging.Logger;

/** Logs recurring warnings at most once a minute for each subject, each on one {@link Printable} line. */
public final class RareLog {

    private static final Duration PAUSE = Duration.ofMinutes(1);
    private static final int MAX_THINGS = 10_000;

    private final Logger log;
    private final Cache<Object, Boolean> said = Caffeine.newBuilder()
            .expireAfterWrite(PAUSE)
            .maximumSize(MAX_THINGS)
            .build();

    public RareLog(Logger log) {
        this.log = log;
    }

    /** @param about the subject; further warnings about it are dropped for a minute */
    public void warn(Object about, String message) {
        if (said.asMap().putIfAbsent(about, true) == null) {
            log.warn(Printable.of(message));
        }
    }
}
