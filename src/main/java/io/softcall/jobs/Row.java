package io.softcall.jobs;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.NullNode;
import io.softcall.SoftcallException;
import io.softcall.task.TaskName;
import java.util.List;
import java.util.Optional;

/** One row of a file: texts to classify, or a problem of this row alone. */
sealed interface Row {

    /** The row's own id, a text or a number; null where it has none. */
    JsonNode id();

    /** @param texts one, or two for a task on pairs */
    record Texts(JsonNode id, Optional<TaskName> task, List<String> texts) implements Row {}

    record Bad(JsonNode id, String problem) implements Row {}

    static Row bad(String format, Object... arguments) {
        return new Bad(NullNode.instance, format.formatted(arguments));
    }

    /** A row as an object with the fields {@code id}, {@code task}, {@code text}, {@code text1}, {@code text2}. */
    static Row of(JsonNode row) {
        if (!row.isObject()) {
            return bad("the row is %s, expected a JSON object {\"text\": ...}", kind(row));
        }
        JsonNode id = row.path("id");
        if (id.isMissingNode()) {
            id = NullNode.instance;
        }
        if (!id.isTextual() && !id.isNumber() && !id.isNull()) {
            return bad("id is %s, expected a text or a number", kind(id));
        }
        try {
            Optional<TaskName> task = text(row, "task").map(TaskName::new);
            return new Texts(id, task, texts(row));
        } catch (SoftcallException e) {
            return new Bad(id, e.getMessage());
        }
    }

    private static List<String> texts(JsonNode row) {
        Optional<String> text = text(row, "text");
        Optional<String> text1 = text(row, "text1");
        Optional<String> text2 = text(row, "text2");
        if (text.isPresent() && text1.isEmpty() && text2.isEmpty()) {
            return List.of(text.get());
        }
        if (text.isEmpty() && text1.isPresent() && text2.isPresent()) {
            return List.of(text1.get(), text2.get());
        }
        throw SoftcallException.invalid("the row has %s, expected text, or text1 and text2", fields(row));
    }

    private static String fields(JsonNode row) {
        List<String> present = List.of("text", "text1", "text2").stream()
                .filter(row::hasNonNull)
                .toList();
        return present.isEmpty() ? "no text" : String.join(" and ", present);
    }

    private static Optional<String> text(JsonNode row, String field) {
        JsonNode value = row.path(field);
        if (value.isMissingNode() || value.isNull()) {
            return Optional.empty();
        }
        if (!value.isTextual()) {
            throw SoftcallException.invalid("%s is %s, expected a text", field, kind(value));
        }
        return Optional.of(value.textValue());
    }

    private static String kind(JsonNode node) {
        return switch (node.getNodeType()) {
            case ARRAY -> "a list";
            case OBJECT, POJO -> "an object";
            case STRING -> "a text";
            case NUMBER -> "a number";
            case BOOLEAN -> node.asText();
            case NULL -> "null";
            case MISSING, BINARY -> "missing";
        };
    }
}
