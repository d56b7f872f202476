package io.softcall.jobs.files;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import io.softcall.SoftcallException;
import io.softcall.Surrogates;

/**
 * The id of a row: a text, a number, or nothing. It is kept as it was written, because a number in Java may differ:
 * there {@code 1e400} is infinite, {@code 0.10000000000000000555} is a tenth, and {@code 1e2} prints as 100.0.
 */
public final class RowId {

    /** Maximum number of characters of an id. */
    public static final int MAX_CHARACTERS = 1_000;

    public static final RowId NONE = new RowId("null");

    private final String json;

    private RowId(String json) {
        this.json = json;
    }

    /** @throws SoftcallException {@code INVALID_REQUEST} when it is too long */
    public static RowId text(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        JsonStringEncoder.getInstance().quoteAsString(bounded(text), quoted);
        // UTF-8 cannot encode an unpaired surrogate, but an escape of JSON can.
        for (int at = Surrogates.indexOfHalf(quoted, 0); at >= 0; at = Surrogates.indexOfHalf(quoted, at)) {
            quoted.replace(at, at + 1, "\\u%04x".formatted((int) quoted.charAt(at)));
        }
        return new RowId(quoted.append('"').toString());
    }

    /**
     * @param literal a number as JSON writes it
     * @throws SoftcallException {@code INVALID_REQUEST} when it is too long
     */
    public static RowId number(String literal) {
        return new RowId(bounded(literal));
    }

    private static String bounded(String id) {
        if (id.length() > MAX_CHARACTERS) {
            throw SoftcallException.invalid(
                    "id has %d characters, at most %d are accepted", id.length(), MAX_CHARACTERS);
        }
        return id;
    }

    /** Returns the id as a JSON value. */
    public String json() {
        return json;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof RowId id && json.equals(id.json);
    }

    @Override
    public int hashCode() {
        return json.hashCode();
    }

    @Override
    public String toString() {
        return json;
    }
}
