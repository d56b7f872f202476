package io.softcall.function;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.vertx.core.http.HttpClosedException;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.json.JsonObject;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import org.jboss.logging.Logger;

/**
 * Errors outside REST: bodies that are cut off, calls that are not admitted, and functions. Funqy fails a request with 500 whatever
 * was thrown; failures that reach the router are unwrapped here, and answered from the same table as everywhere.
 */
@Singleton
class RouterErrors {

    private static final long CLOSE_AFTER_MS = 200;

    private static final Logger LOG = Logger.getLogger(RouterErrors.class);

    void register(@Observes Router router) {
        router.route().order(Integer.MIN_VALUE).failureHandler(RouterErrors::answer);
    }

    private static void answer(RoutingContext context) {
        HttpServerResponse response = context.response();
        boolean gone = response.closed() || context.failure() instanceof HttpClosedException;
        if (gone || response.ended() || response.headWritten()) {
            return;
        }
        SoftcallException problem = problem(context);
        if (problem.reason() == Reason.INTERNAL) {
            LOG.error("a call failed", context.failure());
        }
        Errors.headers(problem).forEach(response::putHeader);
        boolean unread = !context.request().isEnded();
        if (unread) {
            response.putHeader("connection", "close");
        }
        response.setStatusCode(Errors.status(problem.reason()))
                // Quarkus's binding for Lambda knows a text by this spelling alone.
                .putHeader("Content-Type", "application/json")
                .end(JsonObject.mapFrom(Errors.body(problem)).toBuffer());
        if (unread) {
            // What is still on its way is not read. Not at once: the answer must reach a caller that is still sending.
            context.vertx().setTimer(CLOSE_AFTER_MS, timer -> context.request()
                    .connection()
                    .close());
        }
    }

    private static SoftcallException problem(RoutingContext context) {
        if (context.failure() != null) {
            return Errors.unwrap(context.failure());
        }
        Reason reason = Errors.reason(context.statusCode());
        if (reason == Reason.BODY_TOO_LARGE) {
            return new SoftcallException(reason, "the body is larger than softcall.http.max-body-bytes");
        }
        return new SoftcallException(reason, "the request was refused with status " + context.statusCode());
    }
}
