package io.softcall.api.http;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.api.HttpConfig;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClosedException;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.ext.web.RoutingContext;
import io.vertx.ext.web.impl.RoutingContextInternal;
import jakarta.inject.Singleton;
import java.util.function.Supplier;

/**
 * Reads the whole body of a request before any other handler, so that every entry point has the same bounds: on the
 * bytes of a body, on the time it takes to arrive, and on the bytes of all bodies together. An empty body of a POST is
 * refused.
 */
@Singleton
class RequestBodies {

    private static final Supplier<SoftcallException> EMPTY =
            () -> SoftcallException.invalid("the body is empty, expected JSON");

    private static final String CUT_OFF = RequestBodies.class.getName();
    private static final int FIRST_BYTES = 1_024;

    private final HttpConfig config;
    private final HeldBytes held;

    RequestBodies(HttpConfig config, HeldBytes held) {
        this.config = config;
        this.held = held;
    }

    void read(RoutingContext context) {
        HttpServerRequest request = context.request();
        if (!hasBody(request)) {
            if (request.method().equals(HttpMethod.POST)) {
                throw EMPTY.get();
            }
            context.next();
            return;
        }
        if (declaredBytes(request) > config.maxBodyBytes().asLongValue()) {
            context.put(CUT_OFF, true);
            throw tooLarge();
        }
        if ("100-continue".equalsIgnoreCase(request.getHeader(HttpHeaders.EXPECT))) {
            context.response().writeContinue();
            // Otherwise REST would write it again.
            request.headers().remove(HttpHeaders.EXPECT);
        }
        Reading reading = new Reading(context);
        // Quarkus resumes a request when its first handler is set, unless it was paused explicitly.
        request.pause();
        request.exceptionHandler(reading::broken);
        request.endHandler(reading::end);
        request.handler(reading::take);
        request.resume();
    }

    private static boolean hasBody(HttpServerRequest request) {
        String length = request.getHeader(HttpHeaders.CONTENT_LENGTH);
        return length == null ? request.headers().contains(HttpHeaders.TRANSFER_ENCODING) : !length.equals("0");
    }

    /** Returns the value of Content-Length; 0 when the body is chunked. */
    private static long declaredBytes(HttpServerRequest request) {
        String length = request.getHeader(HttpHeaders.CONTENT_LENGTH);
        try {
            return length == null ? 0 : Long.parseLong(length);
        } catch (NumberFormatException e) {
            return Long.MAX_VALUE;
        }
    }

    /** Marks the request's body, if there is one, as not read: the answer is sent without it. */
    static void leaveUnread(RoutingContext context) {
        if (hasBody(context.request())) {
            context.put(CUT_OFF, true);
        }
    }

    /** Returns whether a part of the request's body was not read. */
    static boolean isCutOff(RoutingContext context) {
        return context.get(CUT_OFF) != null;
    }

    private static SoftcallException tooLarge() {
        return new SoftcallException(Reason.BODY_TOO_LARGE, "the body is larger than softcall.http.max-body-bytes");
    }

    /** One body that is arriving. Everything happens on the event loop of its connection. */
    private final class Reading {

        private final RoutingContext context;
        private final long timer;
        private final Buffer body = Buffer.buffer(FIRST_BYTES);
        private boolean done;

        Reading(RoutingContext context) {
            this.context = context;
            this.timer = context.vertx().setTimer(config.bodyTime().toMillis(), id -> fail(late()));
            context.addEndHandler(ended -> {
                stop();
                held.release(body.length());
            });
        }

        void take(Buffer chunk) {
            if (done) {
                return;
            }
            if (body.length() + (long) chunk.length() > config.maxBodyBytes().asLongValue()) {
                fail(tooLarge());
                return;
            }
            try {
                held.hold(chunk.length());
                body.appendBuffer(chunk);
            } catch (SoftcallException e) {
                fail(e);
            }
        }

        void end(Void ended) {
            if (done) {
                return;
            }
            if (body.length() == 0 && context.request().method().equals(HttpMethod.POST)) {
                fail(EMPTY.get());
                return;
            }
            stop();
            RoutingContextInternal request = (RoutingContextInternal) context;
            request.setBody(body);
            // Otherwise Quarkus's own body handler would wait for the bytes that were read here.
            request.visitHandler(RoutingContextInternal.BODY_HANDLER);
            context.next();
        }

        /** Handles a closed connection, and data that is not HTTP. */
        void broken(Throwable problem) {
            fail(
                    problem instanceof HttpClosedException
                            ? problem
                            : SoftcallException.invalid("the body cannot be read, its chunks are malformed"));
        }

        private void fail(Throwable problem) {
            if (!done) {
                stop();
                context.put(CUT_OFF, true);
                context.fail(problem);
            }
        }

        private void stop() {
            done = true;
            context.vertx().cancelTimer(timer);
        }

        private SoftcallException late() {
            return new SoftcallException(
                    Reason.REQUEST_TIMEOUT,
                    "the body did not arrive within %d ms (softcall.http.body-time)"
                            .formatted(config.bodyTime().toMillis()));
        }
    }
}
