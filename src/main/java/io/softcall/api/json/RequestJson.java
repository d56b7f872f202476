package io.softcall.api.json;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.SoftcallException;
import io.softcall.StrictJson;
import io.softcall.Surrogates;

/** Reads JSON from callers and brokers, with the same bounds at all entry points. */
public final class RequestJson {

    /** Notifications are nested in envelopes. */
    private static final int MAX_DEPTH = 32;

    private static final long MAX_TOKENS = 200_000;

    private static final StrictJson JSON = new StrictJson(MAX_DEPTH, MAX_TOKENS);

    private RequestJson() {}

    /**
     * Checks a text that the answer repeats: UTF-8 must be able to encode it.
     *
     * @param what names the text in the message, for example "id"
     * @throws SoftcallException {@code INVALID_REQUEST} when the text has an unpaired surrogate
     */
    public static String repeatable(String what, String text) {
        if (Surrogates.hasHalf(text)) {
            throw SoftcallException.invalid(
                    "%s has half of a surrogate pair (\\ud800 to \\udfff), expected a text in Unicode", what);
        }
        return text;
    }

    /**
     * @param what names the document in the message, for example "the body"
     * @throws SoftcallException {@code INVALID_REQUEST} when this is not JSON, or exceeds a bound
     */
    public static JsonNode read(String what, byte[] utf8) {
        try {
            return JSON.read(utf8);
        } catch (StrictJson.MalformedException e) {
            throw SoftcallException.invalid("%s %s", what, e.getMessage());
        }
    }

    /** Reads text that is already decoded, as {@link #read(String, byte[])} does. */
    public static JsonNode read(String what, String text) {
        try {
            return JSON.read(text);
        } catch (StrictJson.MalformedException e) {
            throw SoftcallException.invalid("%s %s", what, e.getMessage());
        }
    }
}
