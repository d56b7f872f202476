package io.softcall.jobs.files;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.softcall.SoftcallException;
import io.softcall.task.TaskName;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** One row of a file: texts to classify, or a problem of this row only. */
public sealed interface Row {

    /** Returns the row's id. */
    RowId id();

    /** @param texts one, or two for a task on pairs */
    record Texts(RowId id, Optional<TaskName> task, List<String> texts) implements Row {}

    record Bad(RowId id, String problem) implements Row {}

    static Row bad(String format, Object... arguments) {
        return new Bad(RowId.NONE, format.formatted(arguments));
    }

    /**
     * Reads a row from a JSON object with the fields {@code id}, {@code task}, {@code text}, {@code text1},
     * {@code text2}; other fields are ignored.
     *
     * @param at is at the row's first token, and afterwards at its last
     * @throws IOException when it is not JSON
     */
    static Row of(JsonParser at) throws IOException {
        if (at.currentToken() != JsonToken.START_OBJECT) {
            String kind = kind(at.currentToken());
            at.skipChildren();
            return bad("the row is %s, expected a JSON object {\"text\": ...}", kind);
        }
        Fields fields = new Fields();
        while (at.nextToken() == JsonToken.FIELD_NAME) {
            String name = at.currentName();
            JsonToken value = at.nextToken();
            if (name.equals("id")) {
                id(at, value, fields);
            } else if (Fields.TEXTS.contains(name) && value == JsonToken.VALUE_STRING) {
                fields.text(name, at.getText());
            } else if (Fields.TEXTS.contains(name) && value != JsonToken.VALUE_NULL) {
                fields.problem("%s is %s, expected a text", name, kind(value));
            }
            at.skipChildren();
        }
        return fields.row();
    }

    private static void id(JsonParser at, JsonToken value, Fields fields) throws IOException {
        switch (value) {
            case VALUE_STRING -> fields.textAsId(at.getText());
            case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> fields.numberAsId(at.getText());
            case VALUE_NULL -> {}
            default -> fields.problem("id is %s, expected a text or a number", kind(value));
        }
    }

    private static String kind(JsonToken token) {
        return switch (token) {
            case START_ARRAY -> "a list";
            case START_OBJECT -> "an object";
            case VALUE_STRING -> "a text";
            case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> "a number";
            default -> token.asString();
        };
    }

    /** Collects the fields of a row, for all file formats. The first problem is the one that is reported. */
    final class Fields {

        public static final List<String> TEXTS = List.of("task", "text", "text1", "text2");

        private RowId id = RowId.NONE;
        private final Map<String, String> texts = new HashMap<>();
        private Optional<String> problem = Optional.empty();

        public void textAsId(String text) {
            try {
                id = RowId.text(text);
            } catch (SoftcallException e) {
                problem(e.getMessage());
            }
        }

        /** @param literal a number as JSON writes it */
        public void numberAsId(String literal) {
            try {
                id = RowId.number(literal);
            } catch (SoftcallException e) {
                problem(e.getMessage());
            }
        }

        public void text(String name, String value) {
            texts.put(name, value);
        }

        public void problem(String format, Object... arguments) {
            if (problem.isEmpty()) {
                problem = Optional.of(arguments.length == 0 ? format : format.formatted(arguments));
            }
        }

        public Row row() {
            if (problem.isPresent()) {
                return new Bad(id, problem.get());
            }
            try {
                Optional<TaskName> task = Optional.ofNullable(texts.get("task")).map(TaskName::new);
                return new Texts(id, task, classified());
            } catch (SoftcallException e) {
                return new Bad(id, e.getMessage());
            }
        }

        private List<String> classified() {
            boolean first = texts.containsKey("text1");
            boolean second = texts.containsKey("text2");
            if (texts.containsKey("text") && !first && !second) {
                return List.of(texts.get("text"));
            }
            if (!texts.containsKey("text") && first && second) {
                return List.of(texts.get("text1"), texts.get("text2"));
            }
            throw SoftcallException.invalid("the row has %s, expected text, or text1 and text2", present());
        }

        private String present() {
            List<String> present =
                    TEXTS.stream().skip(1).filter(texts::containsKey).toList();
            return present.isEmpty() ? "no text" : String.join(" and ", present);
        }
    }
}
