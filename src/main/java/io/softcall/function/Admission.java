package io.softcall.function;

import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import io.vertx.ext.web.handler.BodyHandler;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Admits calls to REST on the event loop, before they cost a thread and a way through REST: under overload most are refused,
 * and what is refused shall not slow down what is not. Bodies that are large, or of a length that is not known, would hold up
 * the event loop; {@link ClassifyResource} has them admitted on their own threads.
 */
@Singleton
class Admission {

    private static final int MOST_BYTES = 65_536;
    /** That an int can hold. */
    private static final Pattern NUMBER = Pattern.compile("\\d{1,9}");

    private static final String KEY = Admission.class.getName();

    private final Endpoint endpoint;
    private final BodyHandler body = BodyHandler.create(false);

    Admission(Endpoint endpoint) {
        this.endpoint = endpoint;
    }

    /** After {@link BodyGuard} and {@link HangUps}. */
    void register(@Observes Router router) {
        for (String path : ClassifyResource.PATHS) {
            router.post(path).order(Integer.MIN_VALUE + 1).handler(this::read).handler(this::admit);
        }
    }

    private void read(RoutingContext context) {
        if (isSmallJson(context.request())) {
            body.handle(context);
        } else {
            context.next();
        }
    }

    private static boolean isSmallJson(HttpServerRequest request) {
        String type = request.getHeader(HttpHeaders.CONTENT_TYPE);
        String length = request.getHeader(HttpHeaders.CONTENT_LENGTH);
        return type != null
                && type.toLowerCase(Locale.ROOT).startsWith("application/json")
                && length != null
                && NUMBER.matcher(length).matches()
                && Integer.parseInt(length) <= MOST_BYTES;
    }

    private void admit(RoutingContext context) {
        Buffer json = context.body().buffer();
        if (json != null) {
            context.put(
                    KEY,
                    endpoint.admit(
                            Optional.ofNullable(context.request().getHeader(HttpHeaders.AUTHORIZATION)),
                            () -> ClassifyRequest.parse(json.getBytes())));
        }
        context.next();
    }

    /** The request, if it was admitted already. */
    static Optional<ClassifyRequest> of(RoutingContext context) {
        return Optional.ofNullable(context.get(KEY));
    }
}
