package io.softcall.function;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.ext.web.RoutingContext;
import java.util.List;

/**
 * Refuses methods that a path does not have, and names those that it has (RFC 9110, 15.5.6), before anything else of the request
 * is looked at. Answers {@code OPTIONS}.
 */
final class AllowedMethods {

    private static final int NO_CONTENT = 204;

    private static final List<String> POSTED = List.of("POST", "OPTIONS");
    private static final List<String> READ = List.of("GET", "HEAD", "OPTIONS");
    private static final List<String> READ_OR_DELETED = List.of("GET", "HEAD", "DELETE", "OPTIONS");

    private AllowedMethods() {}

    static void check(RoutingContext context) {
        String path = context.normalizedPath();
        HttpMethod method = context.request().method();
        List<String> allowed = of(path);
        boolean isAllowed = allowed.contains(method.name());
        if (allowed.isEmpty() || isAllowed && method != HttpMethod.OPTIONS) {
            context.next();
            return;
        }
        String names = String.join(", ", allowed);
        context.response().putHeader(HttpHeaders.ALLOW, names);
        RequestBodies.leaveUnread(context);
        if (!isAllowed) {
            throw new SoftcallException(
                    Reason.METHOD_NOT_ALLOWED,
                    "method %s is not allowed at %s, expected one of %s".formatted(method, path, names));
        }
        context.response().setStatusCode(NO_CONTENT).end();
    }

    /** The methods of a path, with a slash behind it or without; none where it is not ours. */
    private static List<String> of(String path) {
        String resource = path.length() > 1 && path.endsWith("/") ? path.substring(0, path.length() - 1) : path;
        return switch (resource) {
            case "/", "/classify", "/v1/classify", "/classify-text", "/v1/jobs" -> POSTED;
            case "/v1/models" -> READ;
            default ->
                resource.startsWith("/v1/models/")
                        ? READ
                        : resource.startsWith("/v1/jobs/") ? READ_OR_DELETED : List.of();
        };
    }
}
