package io.softcall.jobs.files;

import com.fasterxml.jackson.core.JsonGenerator;
import io.softcall.inference.Classification;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import java.io.IOException;
import java.util.List;

/**
 * Writes the outcome of a row, in the fields that all results share: those of files, of Lambda's items, and of lines.
 */
public final class ResultFields {

    private ResultFields() {}

    public static void id(JsonGenerator out, RowId id) throws IOException {
        out.writeFieldName("id");
        out.writeRawValue(id.json());
    }

    public static void task(JsonGenerator out, TaskName task) throws IOException {
        out.writeStringField("task", task.value());
    }

    /** Writes {@code version}, then {@link #label}. */
    public static void answer(JsonGenerator out, Task task, Classification.Prediction row, boolean scores)
            throws IOException {
        out.writeStringField("version", task.version());
        label(out, task, row, scores);
    }

    /**
     * Writes {@code label}, which is null when there is none, {@code labels} for a task of any number of them, {@code score},
     * and on request {@code scores} by label.
     *
     * @param scores whether every label's probability is written
     */
    public static void label(JsonGenerator out, Task task, Classification.Prediction row, boolean scores)
            throws IOException {
        List<String> labels = task.classification().head().labels();
        out.writeStringField(
                "label", row.label().isPresent() ? labels.get(row.label().getAsInt()) : null);
        if (row instanceof Classification.MultiLabel several) {
            out.writeArrayFieldStart("labels");
            for (int label : several.labels()) {
                out.writeString(labels.get(label));
            }
            out.writeEndArray();
        }
        out.writeNumberField("score", row.score());
        if (scores) {
            out.writeObjectFieldStart("scores");
            for (int i = 0; i < labels.size(); i++) {
                out.writeNumberField(labels.get(i), row.probabilities()[i]);
            }
            out.writeEndObject();
        }
    }

    /** @param code a type of docs/errors.md */
    public static void error(JsonGenerator out, String code, String message) throws IOException {
        out.writeObjectFieldStart("error");
        out.writeStringField("code", code);
        out.writeStringField("message", message);
        out.writeEndObject();
    }
}
