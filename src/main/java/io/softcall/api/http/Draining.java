package io.softcall.api.http;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;

/**
 * Drains the server after the signal to stop: readiness is down, calls in progress are answered, and new ones are
 * refused, so that callers retry with another instance. Quarkus then waits for the calls in progress
 * ({@code quarkus.shutdown.timeout}). Without this class, Quarkus would meanwhile accept new calls, and cut them off.
 */
@Singleton
public class Draining {

    static final String HEALTH = "/q/health";

    private volatile boolean begun;

    /** Begins draining, which cannot be undone. */
    public void begin() {
        begun = true;
    }

    public boolean hasBegun() {
        return begun;
    }

    void handle(RoutingContext context) {
        context.addHeadersEndHandler(sending -> {
            if (begun) {
                context.response().putHeader("connection", "close");
            }
        });
        context.addEndHandler(sent -> {
            if (begun) {
                context.request().connection().close();
            }
        });
        if (begun && !context.normalizedPath().startsWith(HEALTH)) {
            throw new SoftcallException(Reason.STOPPING, "this server is stopping: send the request again");
        }
        context.next();
    }
}
