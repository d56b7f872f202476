package io.softcall.api.http;

import io.quarkus.virtual.threads.VirtualThreads;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.vertx.core.Context;
import io.vertx.core.http.HttpHeaders;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.function.Supplier;

/**
 * Parses, validates and admits requests before anything else handles them, in the same way for all protocols. Small
 * requests are handled on the event loop, before they cost a thread: under overload most requests are refused, and
 * refusals must not slow down the others. Large requests would block the event loop, and are handled on another thread.
 */
@Singleton
public class Admission {

    private static final int MOST_BYTES = 65_536;

    private static final String KEY = Admission.class.getName();

    private final ExecutorService executor;

    Admission(@VirtualThreads ExecutorService executor) {
        this.executor = executor;
    }

    /** Requests that are admitted, of one kind. {@code HttpPipeline} finds all implementations. */
    public interface Entrance {

        /** Returns the paths of these requests. */
        List<Paths> paths();

        /**
         * Admits a request. Does not block.
         *
         * @param path the path of the request, one of {@link #paths}
         * @param authorization the caller's {@code Authorization} header
         * @param body returns the body of the request; called once the caller is known
         * @return the request, for {@link Admission#of}
         * @throws SoftcallException when the request is refused
         */
        Object admit(Paths path, Optional<String> authorization, Supplier<byte[]> body);
    }

    void admit(RoutingContext context, Paths path, Entrance entrance) {
        if (context.body().length() <= MOST_BYTES) {
            context.put(KEY, admitted(context, path, entrance));
            context.next();
            return;
        }
        Context eventLoop = context.vertx().getOrCreateContext();
        executor.execute(() -> {
            try {
                context.put(KEY, admitted(context, path, entrance));
                eventLoop.runOnContext(on -> context.next());
            } catch (RuntimeException | Error e) {
                eventLoop.runOnContext(on -> context.fail(e));
            }
        });
    }

    private static Object admitted(RoutingContext context, Paths path, Entrance entrance) {
        return entrance.admit(
                path, Optional.ofNullable(context.request().getHeader(HttpHeaders.AUTHORIZATION)), () -> body(context));
    }

    private static byte[] body(RoutingContext context) {
        String type = context.request().getHeader(HttpHeaders.CONTENT_TYPE);
        if (type == null || !type.toLowerCase(Locale.ROOT).startsWith("application/json")) {
            throw new SoftcallException(
                    Reason.UNSUPPORTED_MEDIA_TYPE, "expected a body with `Content-Type: application/json`");
        }
        return context.body().buffer().getBytes();
    }

    /**
     * Returns the request of an admitted call.
     *
     * @throws SoftcallException {@code NOT_FOUND} at a path that REST matches, but this server does not have, for
     *     example one with a parameter after a semicolon
     */
    public static <R> R of(RoutingContext context, Class<R> type) {
        Object admitted = context.get(KEY);
        if (admitted == null) {
            throw new SoftcallException(
                    Reason.NOT_FOUND, "no such path: " + context.request().path());
        }
        return type.cast(admitted);
    }
}
