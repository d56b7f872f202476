package io.softcall.api.http;

import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.config.MeterFilter;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Bounds the labels of request metrics: callers choose methods and paths, and each new value would stay in memory for
 * ever.
 */
final class HttpMetrics {

    private static final String SERVER = "http.server.";
    private static final String OTHER = "OTHER";

    private static final Set<String> METHODS =
            Set.of("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH");

    /** Quarkus's own paths, and its names for requests without a path. */
    private static final Set<String> OTHER_PATHS = Set.of(
            "/q/health",
            "/q/health/live",
            "/q/health/ready",
            "/q/metrics",
            OpenApi.PATH,
            "NOT_FOUND",
            "REDIRECTION",
            "UNKNOWN",
            "root");

    private static final Set<String> PATHS =
            Stream.concat(Paths.templates().stream(), OTHER_PATHS.stream()).collect(Collectors.toUnmodifiableSet());

    @Produces
    @Singleton
    MeterFilter bounded() {
        return new MeterFilter() {
            @Override
            public Meter.Id map(Meter.Id id) {
                return id.getName().startsWith(SERVER) ? id.replaceTags(bounded(id.getTags())) : id;
            }
        };
    }

    private static List<Tag> bounded(List<Tag> tags) {
        return tags.stream().map(HttpMetrics::bounded).toList();
    }

    private static Tag bounded(Tag tag) {
        return switch (tag.getKey()) {
            case "method" -> METHODS.contains(tag.getValue()) ? tag : Tag.of("method", OTHER);
            case "uri" -> PATHS.contains(tag.getValue()) ? tag : Tag.of("uri", OTHER);
            default -> tag;
        };
    }
}
