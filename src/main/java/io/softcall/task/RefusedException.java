package io.softcall.task;

import io.softcall.Printable;

/** Thrown for an artifact that cannot be served. The message names the field, its value, and what would be accepted. */
public final class RefusedException extends Exception {

    private static final long serialVersionUID = 1L;

    public RefusedException(String format, Object... arguments) {
        super(Printable.of(arguments.length == 0 ? format : format.formatted(arguments)));
    }
}
