package io.softcall;

import java.time.Duration;

/**
 * The one exception that reaches a caller: what went wrong, and a {@link Printable} message that names the thing, the value and
 * what would be accepted. {@code function.Errors} turns its {@link Reason} into a status.
 *
 * <p>Where a store is at fault there is a {@link #detail} besides: its address, a path, its own words. That is for those who run
 * the server; {@link #publicMessage} is for everybody.
 */
public final class SoftcallException extends RuntimeException {

    /** Why a call is not answered. Every reason has one row in docs/errors.md. */
    public enum Reason {
        /** The request is malformed, has wrong types or values, or names no possible task. */
        INVALID_REQUEST,
        /** The request carries no API key, or one that is not known. */
        UNAUTHENTICATED,
        /** The API key may not call this task. */
        FORBIDDEN,
        /** The store holds no such task. */
        UNKNOWN_TASK,
        /** No such path. */
        NOT_FOUND,
        /** The path exists, but not with this method. */
        METHOD_NOT_ALLOWED,
        /** No representation that the caller accepts. */
        NOT_ACCEPTABLE,
        /** The request's body did not arrive in time. */
        REQUEST_TIMEOUT,
        /** The request's body is larger than allowed. */
        BODY_TOO_LARGE,
        /** The request's body is not JSON. */
        UNSUPPORTED_MEDIA_TYPE,
        /** A text is longer than allowed. */
        TEXT_TOO_LONG,
        /** More work is waiting than allowed. */
        OVERLOADED,
        /** A fault of the server. */
        INTERNAL,
        /** The stored artifact cannot be served. */
        ARTIFACT_REFUSED,
        /** The store refuses our credentials, or the bucket does not exist. */
        STORE_DENIED,
        /** The device that computes has no memory left for this call. */
        OUT_OF_MEMORY,
        /** The machine has no room for what a job writes before it is stored. */
        TEMPORARY_FOLDER_UNAVAILABLE,
        /** The base's full-precision trunk, which a prompt needs, cannot be opened or computes wrongly. */
        BASE_UNAVAILABLE,
        /** The store does not answer. */
        STORE_UNAVAILABLE,
        /** The server stops; another one may answer. */
        STOPPING,
        /** The answer was not ready in the time that one call may take. */
        DEADLINE_EXCEEDED,
        /** The caller hung up. */
        CANCELLED
    }

    private static final long serialVersionUID = 1L;

    private final Reason reason;
    private final String publicMessage;
    private final String detail;
    private final Duration retryAfter;

    public SoftcallException(Reason reason, String message) {
        this(reason, message, null);
    }

    public SoftcallException(Reason reason, String message, Throwable cause) {
        this(reason, message, "", cause, Duration.ZERO);
    }

    private SoftcallException(
            Reason reason, String publicMessage, String detail, Throwable cause, Duration retryAfter) {
        super(whole(Printable.of(publicMessage), Printable.of(detail)), cause);
        this.reason = reason;
        this.publicMessage = Printable.of(publicMessage);
        this.detail = Printable.of(detail);
        this.retryAfter = retryAfter;
    }

    private static String whole(String message, String detail) {
        return detail.isEmpty() ? message : "%s (%s)".formatted(message, detail);
    }

    /** @param retryAfter when the work that waits now will be done, as far as one can tell */
    public static SoftcallException overloaded(String message, Duration retryAfter) {
        return new SoftcallException(Reason.OVERLOADED, message, "", null, retryAfter);
    }

    /** The same problem with what only those may know who run the server; it follows the message in brackets. */
    public SoftcallException withDetail(String format, Object... arguments) {
        return new SoftcallException(reason, publicMessage, format.formatted(arguments), getCause(), retryAfter);
    }

    public Reason reason() {
        return reason;
    }

    /** The whole: for the log, and for those who run the server. Two times {@link Printable#MAX_LENGTH} and a few at most. */
    @Override
    public String getMessage() {
        return super.getMessage();
    }

    /** The message without the {@link #detail}: it names no place of a store. */
    public String publicMessage() {
        return publicMessage;
    }

    /** What follows the message for those who run the server; empty where there is no more to say. */
    public String detail() {
        return detail;
    }

    /** When to come again; zero where nothing is known of that. */
    public Duration retryAfter() {
        return retryAfter;
    }

    /** The same problem for another waiter, with a stack trace of its own. */
    public SoftcallException again() {
        return new SoftcallException(reason, publicMessage, detail, this, retryAfter);
    }

    /** A problem of the caller's own request. */
    public static SoftcallException invalid(String format, Object... arguments) {
        return new SoftcallException(Reason.INVALID_REQUEST, format.formatted(arguments));
    }
}
