package io.softcall.function;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.ext.web.RoutingContext;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Refuses methods that a path does not have, and names those that it has (RFC 9110, 15.5.6), before anything else of the request
 * is looked at. Answers {@code OPTIONS}.
 */
final class AllowedMethods {

    private static final int NO_CONTENT = 204;

    private static final List<Resource> RESOURCES = List.of(
            new Resource("/|/classify|/v1/classify|/classify-text|/v1/jobs", List.of("POST", "OPTIONS")),
            new Resource("/v1/jobs/.+", List.of("GET", "HEAD", "DELETE", "OPTIONS")),
            new Resource("/v1/models(/.+)?", List.of("GET", "HEAD", "OPTIONS")));

    private record Resource(Pattern path, List<String> methods) {

        Resource(String path, List<String> methods) {
            this(Pattern.compile(path), methods);
        }
    }

    private AllowedMethods() {}

    static void check(RoutingContext context) {
        HttpMethod method = context.request().method();
        Optional<List<String>> allowed = RESOURCES.stream()
                .filter(resource ->
                        resource.path().matcher(context.normalizedPath()).matches())
                .findFirst()
                .map(Resource::methods);
        boolean known = allowed.isEmpty() || allowed.get().contains(method.name());
        if (known && (allowed.isEmpty() || method != HttpMethod.OPTIONS)) {
            context.next();
            return;
        }
        String names = String.join(", ", allowed.get());
        HttpServerResponse response = context.response().putHeader(HttpHeaders.ALLOW, names);
        RequestBodies.leaveUnread(context);
        if (known) {
            response.setStatusCode(NO_CONTENT).end();
            return;
        }
        throw new SoftcallException(
                Reason.METHOD_NOT_ALLOWED,
                "method %s is not allowed at %s, expected one of %s"
                        .formatted(method, context.normalizedPath(), names));
    }
}
