package io.softcall;

import java.time.Duration;

/**
 * The only exception that reaches a caller. It has a {@link Reason}, and a {@link Printable} message that names the
 * thing, the value and what would be accepted. {@code api.Errors} maps the reason to a status.
 *
 * <p>A failure of a store also has a {@link #detail}: the store's address, a path, its message. Only operators of the
 * server see it; everybody may see the {@link #publicMessage}.
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
        /** The path does not exist. */
        NOT_FOUND,
        /** The path exists, but not with this method. */
        METHOD_NOT_ALLOWED,
        /** The server has no representation that the caller accepts. */
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
        /** The device that computes has not enough memory left for this call. */
        OUT_OF_MEMORY,
        /** The machine has no space for the temporary files of a job. */
        TEMPORARY_FOLDER_UNAVAILABLE,
        /** The base's full-precision trunk, which a prompt needs, cannot be opened or computes wrongly. */
        BASE_UNAVAILABLE,
        /** The store does not answer. */
        STORE_UNAVAILABLE,
        /** The server is stopping; another instance may answer. */
        STOPPING,
        /** The answer was not ready before the call's deadline. */
        DEADLINE_EXCEEDED,
        /** The caller cancelled the request by closing the connection. */
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

    /** @param retryAfter estimated time until the waiting work is done */
    public static SoftcallException overloaded(String message, Duration retryAfter) {
        return new SoftcallException(Reason.OVERLOADED, message, "", null, retryAfter);
    }

    /** Returns the same problem with details for operators only, which follow the message in brackets. */
    public SoftcallException withDetail(String format, Object... arguments) {
        return new SoftcallException(reason, publicMessage, format.formatted(arguments), getCause(), retryAfter);
    }

    public Reason reason() {
        return reason;
    }

    /**
     * Returns the message and the {@link #detail}, for the log and for operators. It has at most two times {@link
     * Printable#MAX_LENGTH} characters, plus three.
     */
    @Override
    public String getMessage() {
        return super.getMessage();
    }

    /** Returns the message without the {@link #detail}: it names no location in a store. */
    public String publicMessage() {
        return publicMessage;
    }

    /** Returns what {@link #getMessage} adds for operators; empty when there is nothing to add. */
    public String detail() {
        return detail;
    }

    /** Returns when the caller should retry; zero when this is unknown. */
    public Duration retryAfter() {
        return retryAfter;
    }

    /** Returns the same problem for another waiter, with that waiter's stack trace. */
    public SoftcallException again() {
        return new SoftcallException(reason, publicMessage, detail, this, retryAfter);
    }

    /** Returns an {@code INVALID_REQUEST} with a formatted message. */
    public static SoftcallException invalid(String format, Object... arguments) {
        return new SoftcallException(Reason.INVALID_REQUEST, format.formatted(arguments));
    }
}
