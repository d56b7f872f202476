package io.softcall.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.SoftcallException;
import io.softcall.api.json.Fields;
import io.softcall.api.json.NeutralFields;
import io.softcall.api.json.RequestJson;
import io.softcall.inference.generation.GenerationRequest;
import io.softcall.inference.generation.GenerationRequest.Source;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Reads requests for completions. All fields that OpenAI and vLLM document are accepted by name. A field takes effect
 * where Softcall supports it. It is ignored when it cannot change the answer, and refused when it would change it.
 */
final class CompletionFields {

    private static final String PROMPT = "prompt";

    private static final NeutralFields NEUTRAL =
            new NeutralFields(Map.of("suffix", List.of(), "prompt_embeds", List.of()));

    private static final Set<String> KNOWN = Stream.<Collection<String>>of(
                    OptionFields.USED,
                    OptionFields.IGNORED,
                    OptionFields.NEUTRAL.accepted().keySet(),
                    NEUTRAL.accepted().keySet(),
                    Set.of(PROMPT))
            .flatMap(Collection::stream)
            .collect(Collectors.toCollection(TreeSet::new));

    private final Fields fields;
    private final RequestBounds bounds;

    private CompletionFields(Fields fields, RequestBounds bounds) {
        this.fields = fields;
        this.bounds = bounds;
    }

    /** @throws SoftcallException {@code INVALID_REQUEST} or {@code TEXT_TOO_LONG}, naming the field and what is accepted */
    static TextRequest parse(byte[] body, RequestBounds bounds) {
        Fields fields = Fields.ofBody(RequestJson.read("the body", body), "{\"model\": ..., \"prompt\": ...}");
        fields.requireKnown(KNOWN);
        OptionFields.NEUTRAL.check(fields);
        NEUTRAL.check(fields);
        return new CompletionFields(fields, bounds).request();
    }

    private TextRequest request() {
        OptionFields options = new OptionFields(fields, bounds);
        GenerationRequest generation = new GenerationRequest(
                fields.task(),
                sources(),
                options.n(),
                options.options(
                        fields.whole("max_tokens", 1, Integer.MAX_VALUE),
                        fields.whole("logprobs", 0, OptionFields.MOST_TOP_LOGPROBS)));
        bounds.requireAnswers(generation.sources().size(), generation.n());
        return new TextRequest(generation, AnswerForm.COMPLETION, options.streaming(), fields.requestId());
    }

    /** Reads a text, a list of texts, a list of token ids, or a list of lists of token ids. */
    private List<Source> sources() {
        JsonNode prompt = fields.get(PROMPT);
        if (prompt.isTextual()) {
            return List.of(text(PROMPT, prompt));
        }
        if (!prompt.isArray() || prompt.isEmpty()) {
            throw fields.refused(PROMPT, "a text, a list of texts, a list of token ids, or a list of such lists");
        }
        if (prompt.get(0).isNumber()) {
            return List.of(ids(PROMPT, prompt));
        }
        bounds.requireAnswers(prompt.size(), 1);
        List<Source> sources = new ArrayList<>(prompt.size());
        for (JsonNode each : prompt) {
            String name = "prompt[%d]".formatted(sources.size());
            sources.add(each.isTextual() ? text(name, each) : ids(name, each));
        }
        return sources;
    }

    private Source text(String name, JsonNode text) {
        bounds.requireCharacters(name, text.textValue().length());
        return new Source.Text(text.textValue());
    }

    private Source ids(String name, JsonNode list) {
        if (!list.isArray() || list.isEmpty()) {
            throw SoftcallException.invalid(
                    "%s is %s, expected a text or a list of token ids",
                    name, list.isArray() ? "an empty list" : Fields.kind(list));
        }
        long[] ids = new long[list.size()];
        for (int i = 0; i < ids.length; i++) {
            JsonNode id = list.get(i);
            if (!id.isInt() || id.intValue() < 0 || id.intValue() >= bounds.vocabulary()) {
                throw SoftcallException.invalid(
                        "%s[%d] is %s, expected a token id from 0 to %d",
                        name, i, Fields.kind(id), bounds.vocabulary() - 1);
            }
            ids[i] = id.intValue();
        }
        return new Source.Ids(ids);
    }
}
