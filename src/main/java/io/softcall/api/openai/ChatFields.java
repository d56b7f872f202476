package io.softcall.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.SoftcallException;
import io.softcall.api.json.Fields;
import io.softcall.api.json.NeutralFields;
import io.softcall.api.json.RequestJson;
import io.softcall.inference.generation.GenerationRequest;
import io.softcall.inference.generation.GenerationRequest.Source;
import io.softcall.inference.text.ChatMessage;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Reads requests for the next message of a chat, as {@link CompletionFields} reads those for completions. */
final class ChatFields {

    private static final String MESSAGES = "messages";
    private static final String MAX_TOKENS = "max_tokens";
    private static final String MAX_COMPLETION_TOKENS = "max_completion_tokens";
    private static final String TOP_LOGPROBS = "top_logprobs";

    private static final Set<String> IGNORED =
            Set.of("parallel_tool_calls", "include_reasoning", "mm_processor_kwargs");

    private static final NeutralFields NEUTRAL = new NeutralFields(Map.ofEntries(
            Map.entry("tools", List.of("[]")),
            Map.entry("tool_choice", List.of("\"none\"")),
            Map.entry("functions", List.of("[]")),
            Map.entry("function_call", List.of("\"none\"")),
            Map.entry("modalities", List.of("[\"text\"]")),
            Map.entry("audio", List.of()),
            Map.entry("prediction", List.of()),
            Map.entry("web_search_options", List.of()),
            Map.entry("reasoning_effort", List.of()),
            Map.entry("verbosity", List.of()),
            Map.entry("documents", List.of("[]")),
            Map.entry("chat_template", List.of()),
            Map.entry("chat_template_kwargs", List.of("{}")),
            Map.entry("add_generation_prompt", List.of("true")),
            Map.entry("continue_final_message", List.of("false"))));

    private static final Set<String> KNOWN = Stream.<Collection<String>>of(
                    OptionFields.USED,
                    OptionFields.IGNORED,
                    OptionFields.NEUTRAL.accepted().keySet(),
                    IGNORED,
                    NEUTRAL.accepted().keySet(),
                    Set.of(MESSAGES, MAX_COMPLETION_TOKENS, TOP_LOGPROBS))
            .flatMap(Collection::stream)
            .collect(Collectors.toCollection(TreeSet::new));

    /** Fields of a message that a client may repeat from an answer, where they are empty. */
    private static final NeutralFields MESSAGE_NEUTRAL = new NeutralFields(Map.of(
            "name", List.of(),
            "refusal", List.of(),
            "audio", List.of(),
            "annotations", List.of("[]"),
            "function_call", List.of(),
            "tool_calls", List.of("[]"),
            "tool_call_id", List.of()));

    private static final Set<String> MESSAGE_KNOWN = Stream.concat(
                    MESSAGE_NEUTRAL.accepted().keySet().stream(), Stream.of("role", "content"))
            .collect(Collectors.toCollection(TreeSet::new));

    private final Fields fields;
    private final RequestBounds bounds;

    private ChatFields(Fields fields, RequestBounds bounds) {
        this.fields = fields;
        this.bounds = bounds;
    }

    /** @throws SoftcallException {@code INVALID_REQUEST} or {@code TEXT_TOO_LONG}, naming the field and what is accepted */
    static TextRequest parse(byte[] body, RequestBounds bounds) {
        Fields fields = Fields.ofBody(RequestJson.read("the body", body), "{\"model\": ..., \"messages\": ...}");
        fields.requireKnown(KNOWN);
        OptionFields.NEUTRAL.check(fields);
        NEUTRAL.check(fields);
        return new ChatFields(fields, bounds).request();
    }

    private TextRequest request() {
        OptionFields options = new OptionFields(fields, bounds);
        GenerationRequest generation = new GenerationRequest(
                fields.task(),
                List.of(new Source.Chat(messages())),
                options.n(),
                options.options(maxTokens(), topLogprobs()));
        bounds.requireAnswers(1, generation.n());
        return new TextRequest(generation, AnswerForm.CHAT, options.streaming(), fields.requestId());
    }

    private OptionalInt maxTokens() {
        OptionalInt current = fields.whole(MAX_COMPLETION_TOKENS, 1, Integer.MAX_VALUE);
        OptionalInt former = fields.whole(MAX_TOKENS, 1, Integer.MAX_VALUE);
        if (current.isPresent() && former.isPresent() && !current.equals(former)) {
            throw fields.refused(MAX_TOKENS, "null or the value of %s, its new name".formatted(MAX_COMPLETION_TOKENS));
        }
        return current.isPresent() ? current : former;
    }

    private OptionalInt topLogprobs() {
        boolean wanted = fields.flag("logprobs", false);
        OptionalInt top = fields.whole(TOP_LOGPROBS, 0, OptionFields.MOST_TOP_LOGPROBS);
        if (top.isPresent() && !wanted) {
            throw fields.refused(TOP_LOGPROBS, "null, as logprobs is not true");
        }
        return wanted ? OptionalInt.of(top.orElse(0)) : OptionalInt.empty();
    }

    private List<ChatMessage> messages() {
        JsonNode list = fields.get(MESSAGES);
        if (!list.isArray() || list.isEmpty()) {
            throw SoftcallException.invalid(
                    "messages is %s, expected a list of messages {\"role\": ..., \"content\": ...}",
                    list.isArray() ? "an empty list" : Fields.kind(list));
        }
        List<ChatMessage> messages = new ArrayList<>(list.size());
        long characters = 0;
        for (JsonNode each : list) {
            String name = "messages[%d]".formatted(messages.size());
            if (!each.isObject()) {
                throw SoftcallException.invalid(
                        "%s is %s, expected an object {\"role\": ..., \"content\": ...}", name, Fields.kind(each));
            }
            ChatMessage message = message(new Fields(name + ".", each));
            characters += message.content().length();
            messages.add(message);
        }
        bounds.requireCharacters(MESSAGES, characters);
        return messages;
    }

    private static ChatMessage message(Fields message) {
        message.requireKnown(MESSAGE_KNOWN);
        MESSAGE_NEUTRAL.check(message);
        return new ChatMessage(role(message), content(message));
    }

    private static String role(Fields message) {
        String role = message.get("role").asText();
        return switch (role) {
            case "system", "user", "assistant" -> role;
            case "developer" -> "system";
            default ->
                throw SoftcallException.invalid(
                        "%srole is \"%s\", expected system, developer, user or assistant",
                        message.path(), Fields.shorten(role));
        };
    }

    /** Reads a text, or the texts of a list of parts. As in vLLM, a line break comes between two parts. */
    private static String content(Fields message) {
        JsonNode content = message.get("content");
        if (content.isTextual()) {
            return content.textValue();
        }
        if (!content.isArray() || content.isEmpty()) {
            throw message.refused("content", "a text or a list of parts {\"type\": \"text\", \"text\": ...}");
        }
        List<String> texts = new ArrayList<>(content.size());
        for (JsonNode part : content) {
            String name = "%scontent[%d]".formatted(message.path(), texts.size());
            if (!part.isObject()) {
                throw SoftcallException.invalid(
                        "%s is %s, expected a part {\"type\": \"text\", \"text\": ...}", name, Fields.kind(part));
            }
            texts.add(text(new Fields(name + ".", part)));
        }
        return String.join("\n", texts);
    }

    private static String text(Fields part) {
        String type = part.get("type").asText();
        if (!type.equals("text")) {
            throw SoftcallException.invalid(
                    "%stype is \"%s\", expected \"text\": the base reads nothing else",
                    part.path(), Fields.shorten(type));
        }
        part.requireKnown(Set.of("type", "text"));
        if (!part.get("text").isTextual()) {
            throw part.refused("text", "a text");
        }
        return part.get("text").textValue();
    }
}
