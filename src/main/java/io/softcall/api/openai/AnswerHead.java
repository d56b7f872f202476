package io.softcall.api.openai;

import com.fasterxml.jackson.core.JsonGenerator;
import io.softcall.inference.generation.Generation;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;

/**
 * What an answer says of itself, in a whole answer and in each event of a stream.
 *
 * @param created seconds since 1970
 * @param model the task
 * @param version the store's identifier of the prompt that answers
 * @param staleness how long ago the version was last validated; only present when the store could not be reached
 * @param fingerprint the first digits of the base's fingerprint
 */
record AnswerHead(
        String id, long created, String model, String version, Optional<Duration> staleness, String fingerprint) {

    private static final int DIGITS = 12;

    /** @param baseFingerprint the base's whole fingerprint */
    static AnswerHead of(TextRequest request, Generation generation, String baseFingerprint) {
        return new AnswerHead(
                request.form().id(request.id()),
                System.currentTimeMillis() / 1_000,
                generation.task().name().value(),
                generation.task().version(),
                generation.staleness(),
                baseFingerprint.substring(0, Math.min(DIGITS, baseFingerprint.length())));
    }

    /** Writes the fields of an object that has begun. */
    void write(JsonGenerator json, String object) throws IOException {
        json.writeStringField("id", id);
        json.writeStringField("object", object);
        json.writeNumberField("created", created);
        json.writeStringField("model", model);
        json.writeStringField("version", version);
        if (staleness.isPresent()) {
            json.writeNumberField("stale_ms", staleness.get().toMillis());
        }
        json.writeStringField("system_fingerprint", fingerprint);
    }

    /**
     * Writes the field {@code usage}.
     *
     * @param promptTokens the tokens of all prompts with their templates; those of the learned prompt are not counted
     */
    static void usage(JsonGenerator json, long promptTokens, long completionTokens) throws IOException {
        json.writeObjectFieldStart("usage");
        json.writeNumberField("prompt_tokens", promptTokens);
        json.writeNumberField("completion_tokens", completionTokens);
        json.writeNumberField("total_tokens", promptTokens + completionTokens);
        json.writeEndObject();
    }
}
