package io.softcall.api.http;

import io.vertx.ext.web.RoutingContext;
import java.util.concurrent.CompletableFuture;

/** Detects callers that close their connection before they are answered, for everything that is posted. */
public final class Cancellations {

    private static final String KEY = Cancellations.class.getName();

    private Cancellations() {}

    static void watch(RoutingContext context) {
        CompletableFuture<Void> cancellation = new CompletableFuture<>();
        context.put(KEY, cancellation);
        context.addEndHandler(ended -> {
            if (ended.failed()) {
                cancellation.complete(null);
            }
        });
        context.next();
    }

    /** Returns a future that completes when the caller cancels this request by closing the connection. */
    public static CompletableFuture<Void> of(RoutingContext context) {
        return context.get(KEY);
    }
}
