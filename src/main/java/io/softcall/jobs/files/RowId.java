package io.softcall.jobs.files;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import io.softcall.SoftcallException;
import io.softcall.Surrogates;

/**
 * A row's own id: a text or a number, or nothing. It is kept as it was written, since whoever reads it back as a number of Java's
 * may find another one: {@code 1e400} is infinite there, {@code 0.10000000000000000555} a tenth, and {@code 1e2} prints as 100.0.
 */
public final class RowId {

    /** Characters of an id. */
    public static final int MAX_CHARACTERS = 1_000;

    public static final RowId NONE = new RowId("null");

    private final String json;

    private RowId(String json) {
        this.json = json;
    }

    /** @throws SoftcallException when it is too long */
    public static RowId text(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        JsonStringEncoder.getInstance().quoteAsString(bounded(text), quoted);
        // Halves of pairs are no UTF-8, but an escape has them back.
        for (int at = Surrogates.indexOfHalf(quoted, 0); at >= 0; at = Surrogates.indexOfHalf(quoted, at)) {
            quoted.replace(at, at + 1, "\\u%04x".formatted((int) quoted.charAt(at)));
        }
        return new RowId(quoted.append('"').toString());
    }

    /**
     * @param literal a number as JSON has it
     * @throws SoftcallException when it is too long
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

    /** As a value of JSON. */
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
