package io.softcall.jobs.run;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.Classification;
import io.softcall.jobs.files.ResultFields;
import io.softcall.jobs.files.RowId;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The results of one part, collected in a local file, because a part is stored in one step once it is complete. All
 * methods throw {@code TEMPORARY_FOLDER_UNAVAILABLE} when the machine has no space for them.
 */
final class Results implements AutoCloseable {

    private static final JsonMapper JSON = new JsonMapper();

    private final int part;
    private final boolean scores;
    private final Path file;
    private final OutputStream bytes;
    private final JsonGenerator out;
    private int rows;
    private int errors;

    Results(int part, boolean scores) {
        this.part = part;
        this.scores = scores;
        Path created = null;
        try {
            created = Files.createTempFile("softcall-part", ".jsonl");
            this.bytes = Files.newOutputStream(created);
            this.out = JSON.createGenerator(new BufferedOutputStream(bytes)).setRootValueSeparator(null);
        } catch (IOException e) {
            delete(created);
            throw noRoom(e);
        }
        this.file = created;
    }

    int rows() {
        return rows;
    }

    int errors() {
        return errors;
    }

    private interface Writing {
        void run() throws IOException;
    }

    private static void write(Writing writing) {
        try {
            writing.run();
        } catch (IOException e) {
            throw noRoom(e);
        }
    }

    private static SoftcallException noRoom(IOException e) {
        return new SoftcallException(
                Reason.TEMPORARY_FOLDER_UNAVAILABLE,
                "results cannot be written to this machine's temporary folder (java.io.tmpdir): " + e,
                e);
    }

    void answer(RowId id, Task task, Classification.Prediction row) {
        write(() -> {
            begin(id, Optional.of(task.name()));
            ResultFields.answer(out, task, row, scores);
            end();
        });
    }

    void error(RowId id, Optional<TaskName> task, String code, String message) {
        write(() -> {
            begin(id, task);
            ResultFields.error(out, code, message);
            errors++;
            end();
        });
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

    /** Completes the file and returns it; {@link #close} deletes it. */
    Path finish() {
        write(out::close);
        return file;
    }

    /** Deletes the file, even after a failed write. */
    @Override
    public void close() {
        try {
            // The generator is not closed here, because it would write what it still holds.
            bytes.close();
        } catch (IOException e) {
            throw noRoom(e);
        } finally {
            delete(file);
        }
    }

    private static void delete(Path file) {
        try {
            if (file != null) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            throw noRoom(e);
        }
    }
}
