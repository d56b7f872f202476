package io.softcall.api.http;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.api.Errors;
import io.softcall.api.Keys;
import io.vertx.core.VertxException;
import io.vertx.core.http.HttpClosedException;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.json.JsonObject;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;
import java.util.Optional;
import org.jboss.logging.Logger;

/**
 * Errors outside REST: bodies that are cut off, calls that are not admitted, and functions. Funqy fails a request with 500 whatever
 * was thrown; failures that reach the router are unwrapped here, and answered from the same table as everywhere.
 */
@Singleton
public class RouterErrors {

    /** An answer needs a moment to reach a caller that is still sending. */
    static final long CLOSE_AFTER_MS = 200;

    private static final Logger LOG = Logger.getLogger(RouterErrors.class);

    private final Keys keys;

    RouterErrors(Keys keys) {
        this.keys = keys;
    }

    void answer(RoutingContext context) {
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
        boolean unread = RequestBodies.isCutOff(context);
        if (unread) {
            response.putHeader("connection", "close");
        }
        response.setStatusCode(Errors.status(problem.reason()))
                // Quarkus's binding for Lambda knows a text by this spelling alone.
                .putHeader("Content-Type", "application/json")
                .end(JsonObject.mapFrom(Errors.body(
                                problem,
                                keys.isAdmin(
                                        Optional.ofNullable(context.request().getHeader(HttpHeaders.AUTHORIZATION)))))
                        .toBuffer());
        if (unread) {
            // What is still on its way is not read. Not at once: the answer must reach a caller that is still sending.
            context.vertx().setTimer(CLOSE_AFTER_MS, timer -> context.request()
                    .connection()
                    .close());
        }
    }

    private static SoftcallException problem(RoutingContext context) {
        boolean callersFault = context.statusCode() >= 400 && context.statusCode() < 500;
        if (context.failure() != null && !callersFault) {
            return Errors.unwrap(context.failure());
        }
        // Vert.x's words for it, which repeat nothing of the request.
        String why = context.failure() instanceof VertxException known ? ": " + known.getMessage() : "";
        return new SoftcallException(
                Errors.reason(context.statusCode()),
                "the request was refused with status %d%s".formatted(context.statusCode(), why));
    }
}
