package io.softcall.api.openai;

import com.fasterxml.jackson.core.JsonGenerator;
import io.softcall.inference.generation.Generation.Score;
import io.softcall.inference.generation.Generation.Token;
import java.io.IOException;

/** The choices of {@code chat.completion} and {@code chat.completion.chunk} objects. */
final class ChatChoices implements ChoiceWriter {

    private static final String LOGPROBS = "logprobs";

    @Override
    public boolean hasOpening() {
        return true;
    }

    @Override
    public void opening(JsonGenerator json, int index) throws IOException {
        json.writeStartObject();
        json.writeNumberField("index", index);
        json.writeObjectFieldStart("delta");
        json.writeStringField("role", "assistant");
        json.writeStringField("content", "");
        json.writeEndObject();
        json.writeNullField(LOGPROBS);
        json.writeNullField("finish_reason");
        json.writeEndObject();
    }

    @Override
    public void whole(JsonGenerator json, Content choice) throws IOException {
        json.writeStartObject();
        json.writeNumberField("index", choice.index());
        json.writeObjectFieldStart("message");
        json.writeStringField("role", "assistant");
        json.writeStringField("content", choice.text());
        json.writeNullField("refusal");
        json.writeEndObject();
        logprobs(json, choice);
        ChoiceWriter.finish(json, choice.finish());
        json.writeEndObject();
    }

    @Override
    public void piece(JsonGenerator json, Content piece) throws IOException {
        json.writeStartObject();
        json.writeNumberField("index", piece.index());
        json.writeObjectFieldStart("delta");
        if (!piece.text().isEmpty()) {
            json.writeStringField("content", piece.text());
        }
        json.writeEndObject();
        logprobs(json, piece);
        ChoiceWriter.finish(json, piece.finish());
        json.writeEndObject();
    }

    private static void logprobs(JsonGenerator json, Content choice) throws IOException {
        if (!choice.scored()) {
            json.writeNullField(LOGPROBS);
            return;
        }
        json.writeObjectFieldStart(LOGPROBS);
        json.writeArrayFieldStart("content");
        for (Token token : choice.tokens()) {
            json.writeStartObject();
            fields(json, token.score().orElseThrow());
            json.writeArrayFieldStart("top_logprobs");
            for (Score score : token.top()) {
                json.writeStartObject();
                fields(json, score);
                json.writeEndObject();
            }
            json.writeEndArray();
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeNullField("refusal");
        json.writeEndObject();
    }

    private static void fields(JsonGenerator json, Score score) throws IOException {
        json.writeStringField("token", score.text());
        json.writeNumberField("logprob", ChoiceWriter.logprob(score));
        json.writeArrayFieldStart("bytes");
        for (byte each : score.bytes()) {
            json.writeNumber(Byte.toUnsignedInt(each));
        }
        json.writeEndArray();
    }
}
