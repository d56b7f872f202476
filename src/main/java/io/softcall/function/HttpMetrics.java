package io.softcall.function;

import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.config.MeterFilter;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.util.List;
import java.util.Set;

/** Callers choose methods and paths; of the metrics of requests these are labels, and each new value would stay for ever. */
final class HttpMetrics {

    private static final String SERVER = "http.server.";
    private static final String OTHER = "OTHER";

    private static final Set<String> METHODS =
            Set.of("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH");

    /** Our paths, and what Quarkus calls those that are none. */
    private static final Set<String> PATHS = Set.of(
            "/",
            "/classify",
            "/classify-text",
            "/v1/classify",
            "/v1/jobs",
            "/v1/jobs/{id}",
            "/v1/models",
            "/v1/models/{task}",
            "/q/health",
            "/q/health/live",
            "/q/health/ready",
            "/q/metrics",
            "/q/openapi",
            "NOT_FOUND",
            "REDIRECTION",
            "UNKNOWN",
            "root");

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
