package io.softcall.api.openai;

import com.fasterxml.jackson.core.JsonGenerator;
import io.softcall.inference.generation.Generation.Score;
import io.softcall.inference.generation.Generation.Token;
import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** The choices of {@code text_completion} objects. Those of whole answers and of streams have the same fields. */
final class CompletionChoices implements ChoiceWriter {

    @Override
    public boolean hasOpening() {
        return false;
    }

    @Override
    public void opening(JsonGenerator json, int index) {
        throw new IllegalStateException("a completion begins with its first piece");
    }

    @Override
    public void whole(JsonGenerator json, Content choice) throws IOException {
        json.writeStartObject();
        json.writeNumberField("index", choice.index());
        json.writeStringField("text", choice.text());
        if (choice.scored()) {
            logprobs(json, choice);
        } else {
            json.writeNullField("logprobs");
        }
        ChoiceWriter.finish(json, choice.finish());
        json.writeEndObject();
    }

    @Override
    public void piece(JsonGenerator json, Content piece) throws IOException {
        whole(json, piece);
    }

    private static void logprobs(JsonGenerator json, Content choice) throws IOException {
        List<Score> scores = choice.tokens().stream()
                .map(token -> token.score().orElseThrow())
                .toList();
        json.writeObjectFieldStart("logprobs");
        json.writeArrayFieldStart("tokens");
        for (Score score : scores) {
            json.writeString(score.text());
        }
        json.writeEndArray();
        json.writeArrayFieldStart("token_logprobs");
        for (Score score : scores) {
            json.writeNumber(ChoiceWriter.logprob(score));
        }
        json.writeEndArray();
        json.writeArrayFieldStart("top_logprobs");
        for (Token token : choice.tokens()) {
            top(json, token);
        }
        json.writeEndArray();
        json.writeArrayFieldStart("text_offset");
        int offset = choice.offset();
        for (Score score : scores) {
            json.writeNumber(offset);
            offset += Content.characters(score.text());
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    /** Writes log-probabilities by text: the most probable tokens, and the chosen one. Of equal texts the first counts. */
    private static void top(JsonGenerator json, Token token) throws IOException {
        Set<String> written = new HashSet<>();
        json.writeStartObject();
        for (Score score : token.top()) {
            if (written.add(score.text())) {
                json.writeNumberField(score.text(), ChoiceWriter.logprob(score));
            }
        }
        Score chosen = token.score().orElseThrow();
        if (written.add(chosen.text())) {
            json.writeNumberField(chosen.text(), ChoiceWriter.logprob(chosen));
        }
        json.writeEndObject();
    }
}
