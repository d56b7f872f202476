package io.softcall.api.http;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.api.Errors;
import io.softcall.api.Keys;
import io.vertx.core.VertxException;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClosedException;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.json.JsonObject;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;
import java.util.Optional;
import org.jboss.logging.Logger;

/**
 * Answers errors outside REST: bodies that were not read, requests that are not admitted, and errors of functions.
 * Funqy turns every exception into status 500. Here the original exception is unwrapped, and answered from the same
 * table as everywhere.
 */
@Singleton
public class RouterErrors {

    /** Time for the answer to reach a caller that is still sending, before the connection is closed. */
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
                // Quarkus's binding for Lambda recognises a text only by this spelling.
                .putHeader("Content-Type", "application/json")
                .end(body(context, problem));
        if (unread) {
            // The rest of the body is not read. The delay lets the answer reach a caller that is still sending.
            context.vertx().setTimer(CLOSE_AFTER_MS, timer -> context.request()
                    .connection()
                    .close());
        }
    }

    /** Returns the body of an error, as JSON in one line. */
    public Buffer body(RoutingContext context, SoftcallException problem) {
        boolean admin = keys.isAdmin(Optional.ofNullable(context.request().getHeader(HttpHeaders.AUTHORIZATION)));
        return JsonObject.mapFrom(Errors.body(problem, admin)).toBuffer();
    }

    private static SoftcallException problem(RoutingContext context) {
        boolean callersFault = context.statusCode() >= 400 && context.statusCode() < 500;
        if (context.failure() != null && !callersFault) {
            return Errors.unwrap(context.failure());
        }
        // Messages of Vert.x repeat nothing of the request.
        String why = context.failure() instanceof VertxException known ? ": " + known.getMessage() : "";
        return new SoftcallException(
                Errors.reason(context.statusCode()),
                "the request was refused with status %d%s".formatted(context.statusCode(), why));
    }
}
