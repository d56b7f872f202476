package io.softcall.api.http;

import io.quarkus.virtual.threads.VirtualThreads;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.api.Endpoint;
import io.softcall.api.json.ClassifyRequest;
import io.vertx.core.Context;
import io.vertx.core.http.HttpHeaders;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.ExecutorService;

/**
 * Parses, validates and admits requests before REST or Funqy handle them, in the same way for both. Small requests are
 * handled on the event loop, before they cost a thread: under overload most requests are refused, and refusals must not
 * slow down the others. Large requests would block the event loop, and are handled on another thread.
 */
@Singleton
public class Admission {

    private static final int MOST_BYTES = 65_536;

    private static final String KEY = Admission.class.getName();

    private final Endpoint endpoint;
    private final ExecutorService executor;

    Admission(Endpoint endpoint, @VirtualThreads ExecutorService executor) {
        this.endpoint = endpoint;
        this.executor = executor;
    }

    void admit(RoutingContext context) {
        if (context.body().length() <= MOST_BYTES) {
            context.put(KEY, admitted(context));
            context.next();
            return;
        }
        Context eventLoop = context.vertx().getOrCreateContext();
        executor.execute(() -> {
            try {
                context.put(KEY, admitted(context));
                eventLoop.runOnContext(on -> context.next());
            } catch (RuntimeException | Error e) {
                eventLoop.runOnContext(on -> context.fail(e));
            }
        });
    }

    private ClassifyRequest admitted(RoutingContext context) {
        return endpoint.admit(
                Optional.ofNullable(context.request().getHeader(HttpHeaders.AUTHORIZATION)),
                () -> parse(context),
                ClassifyRequest::classification);
    }

    private static ClassifyRequest parse(RoutingContext context) {
        String type = context.request().getHeader(HttpHeaders.CONTENT_TYPE);
        if (type == null || !type.toLowerCase(Locale.ROOT).startsWith("application/json")) {
            throw new SoftcallException(
                    Reason.UNSUPPORTED_MEDIA_TYPE, "expected a body with `Content-Type: application/json`");
        }
        return ClassifyRequest.parse(context.body().buffer().getBytes());
    }

    /**
     * Returns the request of an admitted call.
     *
     * @throws SoftcallException {@code NOT_FOUND} at a path that REST matches, but this server does not have, for
     *     example one with a parameter after a semicolon
     */
    public static ClassifyRequest of(RoutingContext context) {
        ClassifyRequest admitted = context.get(KEY);
        if (admitted == null) {
            throw new SoftcallException(
                    Reason.NOT_FOUND, "no such path: " + context.request().path());
        }
        return admitted;
    }
}
