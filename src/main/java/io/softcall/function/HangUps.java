package io.softcall.function;

import io.vertx.core.http.HttpMethod;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.util.concurrent.CompletableFuture;

/** Notices callers that close their connection before they are answered, for REST and functions alike. */
@Singleton
class HangUps {

    private static final String KEY = HangUps.class.getName();

    void register(@Observes Router router) {
        router.route().method(HttpMethod.POST).order(Integer.MIN_VALUE).handler(HangUps::watch);
    }

    private static void watch(RoutingContext context) {
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
