package io.softcall.api.json;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.SoftcallException;
import io.softcall.StrictJson;
import io.softcall.Surrogates;

/** JSON that callers and brokers send, with the bounds of all entry points. */
public final class RequestJson {

    /** Notifications lie in envelopes. */
    private static final int MAX_DEPTH = 32;

    private static final long MAX_TOKENS = 200_000;

    private static final StrictJson JSON = new StrictJson(MAX_DEPTH, MAX_TOKENS);

    private RequestJson() {}

    /**
     * A text that the answer repeats, in UTF-8.
     *
     * @param what it is, for the message: "id"
     * @throws SoftcallException {@code INVALID_REQUEST} when none could
     */
    public static String repeatable(String what, String text) {
        if (Surrogates.hasHalf(text)) {
            throw SoftcallException.invalid(
                    "%s has half of a surrogate pair (\\ud800 to \\udfff), expected a text in Unicode", what);
        }
        return text;
    }

    /**
     * @param what it is, for the message: "the body"
     * @throws SoftcallException {@code INVALID_REQUEST} when this is no JSON
     */
    public static JsonNode read(String what, byte[] utf8) {
        try {
            return JSON.read(utf8);
        } catch (StrictJson.MalformedException e) {
            throw SoftcallException.invalid("%s %s", what, e.getMessage());
        }
    }

    /** The same for text. */
    public static JsonNode read(String what, String text) {
        try {
            return JSON.read(text);
        } catch (StrictJson.MalformedException e) {
            throw SoftcallException.invalid("%s %s", what, e.getMessage());
        }
    }
}
