package io.softcall.jobs;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.inference.Classification;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** The results of one part, on their way into a file of this machine: what is stored at once must be complete before. */
final class Results implements AutoCloseable {

    private static final JsonMapper JSON = new JsonMapper();

    private final int part;
    private final boolean scores;
    private final Path file;
    private final JsonGenerator out;
    private int rows;
    private int errors;

    Results(int part, boolean scores) throws IOException {
        this.part = part;
        this.scores = scores;
        this.file = Files.createTempFile("softcall-part", ".jsonl");
        this.out = JSON.createGenerator(new BufferedOutputStream(Files.newOutputStream(file)))
                .setRootValueSeparator(null);
    }

    int rows() {
        return rows;
    }

    int errors() {
        return errors;
    }

    void answer(RowId id, Task task, Classification.Row row) throws IOException {
        begin(id, Optional.of(task.name()));
        ResultFields.answer(out, task, row, scores);
        end();
    }

    void error(RowId id, Optional<TaskName> task, String code, String message) throws IOException {
        begin(id, task);
        ResultFields.error(out, code, message);
        errors++;
        end();
    }

    private void begin(RowId id, Optional<TaskName> task) throws IOException {
        out.writeStartObject();
        ResultFields.id(out, id);
        out.writeNumberField("part", part);
        out.writeNumberField("row", rows);
        if (task.isPresent()) {
            ResultFields.task(out, task.get());
        }
    }

    private void end() throws IOException {
        out.writeEndObject();
        out.writeRaw('\n');
        rows++;
    }

    /** The complete file, which goes with this object. */
    Path finish() throws IOException {
        out.close();
        return file;
    }

    @Override
    public void close() throws IOException {
        out.close();
        Files.deleteIfExists(file);
    }
}
