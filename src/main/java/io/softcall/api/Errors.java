package io.softcall.api;

import io.quarkus.runtime.annotations.RegisterForReflection;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletionException;

/** The only table from reasons to HTTP statuses and bodies. docs/errors.md repeats it, and a test compares the two. */
public final class Errors {

    private static final long MAX_RETRY_AFTER_S = 60;

    private static final Set<Reason> OF_THE_REQUEST = EnumSet.of(
            Reason.INVALID_REQUEST,
            Reason.FORBIDDEN,
            Reason.TEXT_TOO_LONG,
            Reason.UNKNOWN_TASK,
            Reason.ARTIFACT_REFUSED);

    private Errors() {}

    /** The body of an error on every path. */
    @RegisterForReflection
    public record Body(Error error) {}

    /**
     * @param type the reason in lower case
     * @param code the HTTP status
     */
    @RegisterForReflection
    public record Error(String message, String type, int code) {}

    public static int status(Reason reason) {
        return switch (reason) {
            case INVALID_REQUEST -> 400;
            case UNAUTHENTICATED -> 401;
            case FORBIDDEN -> 403;
            case UNKNOWN_TASK, NOT_FOUND -> 404;
            case METHOD_NOT_ALLOWED -> 405;
            case NOT_ACCEPTABLE -> 406;
            case REQUEST_TIMEOUT -> 408;
            case BODY_TOO_LARGE -> 413;
            case UNSUPPORTED_MEDIA_TYPE -> 415;
            case TEXT_TOO_LONG -> 422;
            case OVERLOADED -> 429;
            case INTERNAL -> 500;
            case ARTIFACT_REFUSED, STORE_DENIED -> 502;
            case OUT_OF_MEMORY, BASE_UNAVAILABLE, STOPPING, TEMPORARY_FOLDER_UNAVAILABLE, STORE_UNAVAILABLE -> 503;
            case DEADLINE_EXCEEDED -> 504;
            case CANCELLED -> 499;
        };
    }

    /** Returns the headers of an error. */
    public static Map<String, String> headers(SoftcallException e) {
        return switch (e.reason()) {
            case UNAUTHENTICATED -> Map.of("WWW-Authenticate", "Bearer");
            case OVERLOADED, STOPPING -> Map.of("Retry-After", retryAfter(e));
            default -> Map.of();
        };
    }

    /** Returns the estimated time until the waiting work is done, in whole seconds from 1 to 60. */
    private static String retryAfter(SoftcallException e) {
        long seconds = e.retryAfter().plusMillis(999).toSeconds();
        return Long.toString(Math.clamp(seconds, 1, MAX_RETRY_AFTER_S));
    }

    /** Returns the body with all details, for dead letters, results and logs, which operators read. */
    public static Body body(SoftcallException e) {
        return body(e, true);
    }

    /** @param admin whether the caller may see the details for operators */
    public static Body body(SoftcallException e, boolean admin) {
        return new Body(new Error(
                admin ? e.getMessage() : e.publicMessage(),
                e.reason().name().toLowerCase(Locale.ROOT),
                status(e.reason())));
    }

    /** Returns whether a failure is final: it lies in the request or in its task, so a retry would fail again. */
    public static boolean isFinal(SoftcallException e) {
        return OF_THE_REQUEST.contains(e.reason());
    }

    /** Returns the reason that corresponds to an HTTP status of a framework. */
    public static Reason reason(int status) {
        return switch (status) {
            case 401 -> Reason.UNAUTHENTICATED;
            case 403 -> Reason.FORBIDDEN;
            case 404 -> Reason.NOT_FOUND;
            case 405 -> Reason.METHOD_NOT_ALLOWED;
            case 406 -> Reason.NOT_ACCEPTABLE;
            case 408 -> Reason.REQUEST_TIMEOUT;
            case 413 -> Reason.BODY_TOO_LARGE;
            case 415 -> Reason.UNSUPPORTED_MEDIA_TYPE;
            case 429 -> Reason.OVERLOADED;
            case 503 -> Reason.STORE_UNAVAILABLE;
            default -> status < 500 ? Reason.INVALID_REQUEST : Reason.INTERNAL;
        };
    }

    /** Finds the SoftcallException among the causes; any other failure becomes {@code INTERNAL}. */
    public static SoftcallException unwrap(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof SoftcallException known) {
                return known;
            }
        }
        Throwable inner =
                failure instanceof CompletionException && failure.getCause() != null ? failure.getCause() : failure;
        return new SoftcallException(Reason.INTERNAL, "the server failed", inner).withDetail("%s", inner);
    }
}
