package io.softcall.api.http;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.ext.web.RoutingContext;
import java.util.List;

/**
 * Refuses a method that a path does not have, before anything else of the request is checked. The answer names the
 * allowed methods (RFC 9110, 15.5.6). Also answers {@code OPTIONS}.
 */
final class AllowedMethods {

    private static final int NO_CONTENT = 204;

    private AllowedMethods() {}

    static void check(RoutingContext context) {
        String path = context.normalizedPath();
        HttpMethod method = context.request().method();
        List<String> allowed = Paths.of(path).map(Paths::methods).orElse(List.of());
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
}
