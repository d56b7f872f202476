package io.softcall.function;

import io.vertx.ext.web.RoutingContext;
import java.util.concurrent.CompletableFuture;

/** Notices callers that close their connection before they are answered, for REST and functions alike. */
final class HangUps {

    private static final String KEY = HangUps.class.getName();

    private HangUps() {}

    static void watch(RoutingContext context) {
        CompletableFuture<Void> hungUp = new CompletableFuture<>();
        context.put(KEY, hungUp);
        context.addEndHandler(ended -> {
            if (ended.failed()) {
                hungUp.complete(null);
            }
        });
        context.next();
    }

    /** Completes when the caller of this request hangs up. */
    static CompletableFuture<Void> of(RoutingContext context) {
        return context.get(KEY);
    }
}
