package io.softcall.function;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeType;
import io.softcall.SoftcallException;
import io.softcall.inference.Classifier;
import io.softcall.task.TaskName;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;

/**
 * A request in vLLM's shape, checked.
 *
 * @param scores whether the answer names every label's probability
 * @param logits whether the answer carries the label logits
 */
record ClassifyRequest(Classifier.Call call, boolean scores, boolean logits) {

    private static final Set<String> FIELDS =
            Set.of("model", "input", "scores", "logits", "truncate_prompt_tokens", "user");

    /** @throws SoftcallException {@code INVALID_REQUEST}, naming the field, its value and what is accepted */
    static ClassifyRequest parse(byte[] body) {
        return of(RequestJson.read("the body", body));
    }

    /** @throws SoftcallException {@code INVALID_REQUEST}, naming the field, its value and what is accepted */
    static ClassifyRequest of(JsonNode body) {
        if (body == null || !body.isObject()) {
            throw SoftcallException.invalid(
                    "the body is %s, expected a JSON object {\"model\": ..., \"input\": ...}", kind(body));
        }
        for (var field : body.properties()) {
            if (!FIELDS.contains(field.getKey())) {
                throw SoftcallException.invalid(
                        "field \"%s\" is not known, expected %s",
                        shorten(field.getKey()), FIELDS.stream().sorted().toList());
            }
        }
        return new ClassifyRequest(
                new Classifier.Call(task(body.path("model")), items(body.path("input")), truncate(body)),
                flag(body, "scores"),
                flag(body, "logits"));
    }

    private static TaskName task(JsonNode model) {
        if (!model.isTextual()) {
            throw SoftcallException.invalid("model is %s, expected the name of a task", kind(model));
        }
        return new TaskName(model.textValue());
    }

    /** A text, a list of texts, or a list of pairs. */
    private static List<List<String>> items(JsonNode input) {
        if (input.isTextual()) {
            return List.of(List.of(input.textValue()));
        }
        if (!input.isArray()) {
            throw SoftcallException.invalid(
                    "input is %s, expected a text, a list of texts, or a list of pairs", kind(input));
        }
        List<List<String>> items = new ArrayList<>(input.size());
        for (JsonNode item : input) {
            if (item.isTextual()) {
                items.add(List.of(item.textValue()));
            } else if (item.isArray()
                    && item.size() == 2
                    && item.get(0).isTextual()
                    && item.get(1).isTextual()) {
                items.add(List.of(item.get(0).textValue(), item.get(1).textValue()));
            } else {
                throw SoftcallException.invalid(
                        "input[%d] is %s, expected a text or a pair [text1, text2]",
                        items.size(), item.isArray() ? "a list of %d".formatted(item.size()) : kind(item));
            }
        }
        return items;
    }

    private static OptionalInt truncate(JsonNode body) {
        JsonNode value = body.path("truncate_prompt_tokens");
        if (value.isMissingNode() || value.isNull()) {
            return OptionalInt.empty();
        }
        if (!value.isInt() || value.intValue() == 0 || value.intValue() < -1) {
            throw SoftcallException.invalid(
                    "truncate_prompt_tokens is %s, expected a number of tokens, or -1 for as many as are accepted",
                    value.isNumber() ? value : kind(value));
        }
        return OptionalInt.of(value.intValue() == -1 ? Integer.MAX_VALUE : value.intValue());
    }

    private static boolean flag(JsonNode body, String name) {
        JsonNode value = body.path(name);
        if (value.isMissingNode()) {
            return false;
        }
        if (!value.isBoolean()) {
            throw SoftcallException.invalid("%s is %s, expected true or false", name, kind(value));
        }
        return value.booleanValue();
    }

    private static String kind(JsonNode node) {
        return switch (node == null ? JsonNodeType.MISSING : node.getNodeType()) {
            case ARRAY -> "a list";
            case OBJECT, POJO -> "an object";
            case STRING -> "a text";
            case NUMBER -> "the number " + shorten(node.asText());
            case BOOLEAN -> node.asText();
            case NULL -> "null";
            case MISSING, BINARY -> "missing";
        };
    }

    private static String shorten(String value) {
        return value.length() <= 60 ? value : value.substring(0, 60) + "...";
    }
}
