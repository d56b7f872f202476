package io.softcall.api.http;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;

/**
 * The end of a server, from the signal on: readiness is down, calls under way are answered, new ones are told to come again, to
 * another instance. Quarkus then waits for what is under way ({@code quarkus.shutdown.timeout}); by itself it would take new calls
 * meanwhile, and cut them off.
 */
@Singleton
public class Draining {

    static final String HEALTH = "/q/health";

    private volatile boolean begun;

    /** Begins; there is no way back. */
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
            throw new SoftcallException(Reason.STOPPING, "this server is stopping: come again");
        }
        context.next();
    }
}
