package io.softcall.function;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;

/**
 * Refuses bodies that are missing, and cuts off those that arrive too slowly. Too large ones are cut off by Quarkus
 * ({@code quarkus.http.limits.max-body-size}).
 */
@Singleton
class BodyGuard {

    private final HttpConfig config;

    BodyGuard(HttpConfig config) {
        this.config = config;
    }

    void register(@Observes Router router) {
        router.route().order(Integer.MIN_VALUE).handler(this::guard);
    }

    private void guard(RoutingContext context) {
        HttpServerRequest request = context.request();
        if (request.method() == HttpMethod.POST && isEmpty(request)) {
            context.fail(SoftcallException.invalid("the body is empty, expected JSON"));
            return;
        }
        if (!request.isEnded()) {
            long timer = context.vertx()
                    .setTimer(
                            config.bodyTime().toMillis(),
                            id -> context.fail(new SoftcallException(
                                    Reason.REQUEST_TIMEOUT,
                                    "the body did not arrive within %d ms (softcall.http.body-time)"
                                            .formatted(config.bodyTime().toMillis()))));
            // Not isEnded() when the timer fires: a request whose reader has paused it never reads as ended.
            request.end().onComplete(ended -> context.vertx().cancelTimer(timer));
            context.addEndHandler(ended -> context.vertx().cancelTimer(timer));
        }
        context.next();
    }

    private static boolean isEmpty(HttpServerRequest request) {
        String length = request.getHeader("content-length");
        return length == null ? request.getHeader("transfer-encoding") == null : length.equals("0");
    }
}
