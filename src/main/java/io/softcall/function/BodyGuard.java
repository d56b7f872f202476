package io.softcall.function;

import io.quarkus.vertx.http.runtime.filters.Filters;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.JsonObject;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;

/** Cuts off bodies that are missing, too large or arrive too slowly, before anything waits for them. */
@Singleton
class BodyGuard {

    private static final int FIRST = 1_000;

    private final HttpConfig config;

    BodyGuard(HttpConfig config) {
        this.config = config;
    }

    void register(@Observes Filters filters) {
        filters.register(this::guard, FIRST);
    }

    private void guard(RoutingContext context) {
        HttpServerRequest request = context.request();
        long limit = config.maxBodyBytes().asLongValue();
        String length = request.getHeader("content-length");
        if (length != null && !(length.matches("[0-9]{1,18}") && Long.parseLong(length) <= limit)) {
            refuse(
                    context,
                    Reason.BODY_TOO_LARGE,
                    "the body has %s bytes, at most %d are accepted (softcall.http.max-body-bytes)"
                            .formatted(length, limit));
            return;
        }
        if (request.method() == HttpMethod.POST && request.isEnded() && (length == null || length.equals("0"))) {
            refuse(context, Reason.INVALID_REQUEST, "the body is empty, expected JSON");
            return;
        }
        if (!request.isEnded()) {
            long timer = context.vertx().setTimer(config.bodyTime().toMillis(), id -> {
                if (!request.isEnded() && !context.response().ended()) {
                    refuse(
                            context,
                            Reason.REQUEST_TIMEOUT,
                            "the body did not arrive within %d ms (softcall.http.body-time)"
                                    .formatted(config.bodyTime().toMillis()));
                }
            });
            context.addEndHandler(ended -> context.vertx().cancelTimer(timer));
        }
        context.next();
    }

    private static void refuse(RoutingContext context, Reason reason, String message) {
        SoftcallException problem = new SoftcallException(reason, message);
        context.response()
                .setStatusCode(Errors.status(reason))
                .putHeader("content-type", "application/json")
                .putHeader("connection", "close")
                .end(JsonObject.mapFrom(Errors.body(problem)).toBuffer())
                // What is still on its way is not read.
                .onComplete(sent -> context.request().connection().close());
    }
}
