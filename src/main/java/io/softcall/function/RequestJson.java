package io.softcall.function;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.SoftcallException;
import io.softcall.StrictJson;

/** JSON that callers and brokers send, with the bounds of all entry points. */
final class RequestJson {

    /** Notifications lie in envelopes. */
    private static final int MAX_DEPTH = 32;

    private static final long MAX_TOKENS = 200_000;

    private static final StrictJson JSON = new StrictJson(MAX_DEPTH, MAX_TOKENS);

    private RequestJson() {}

    /**
     * @param what it is, for the message: "the body"
     * @throws SoftcallException {@code INVALID_REQUEST} when this is no JSON
     */
    static JsonNode read(String what, byte[] utf8) {
        try {
            return JSON.read(utf8);
        } catch (StrictJson.MalformedException e) {
            throw SoftcallException.invalid("%s %s", what, e.getMessage());
        }
    }

    /** The same for text. */
    static JsonNode read(String what, String text) {
        try {
            return JSON.read(text);
        } catch (StrictJson.MalformedException e) {
            throw SoftcallException.invalid("%s %s", what, e.getMessage());
        }
    }
}
