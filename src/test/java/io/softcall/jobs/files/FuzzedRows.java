package io.softcall.jobs.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.Allocation;
import io.softcall.Reasons;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** The properties of the rows of every file, whoever made it. */
public final class FuzzedRows {

    public static final Limits LIMITS = new Limits(1_000, 1 << 18, 1_000);

    /** The memory for rows and their reading: buffers, and 1,000 rows of 1,000 characters. */
    private static final long BYTES_ALWAYS = 32 << 20;

    private static final long BYTES_EACH = 500;

    private static final JsonMapper JSON = new JsonMapper();

    /** The messages about a row. They repeat nothing of its texts, but name the task. */
    private static final Pattern PROBLEM = Pattern.compile(
            "the row is (?:a list|a text|a number|true|false|null), expected a JSON object \\{\"text\": \\.\\.\\.}"
                    + "|(?:task|text[12]?) is (?:a list|an object|a number|true|false), expected a text"
                    + "|id is (?:a list|an object|true|false|NaN|-?Infinity), expected a (?:text or a number|number or a text)"
                    + "|id has \\d+ characters, at most 1000 are accepted|id has \\d+ bytes, expected 1 to 1000"
                    + "|id is of Parquet's type \\w+, expected a text, a number, a date, a time or a UUID"
                    + "|id is a list or an object, expected a text or a number"
                    + "|the row has (?:no text|text[12]?(?: and text[12])*), expected text, or text1 and text2"
                    + "|task name \".*\"(?: \\(\\d+ characters\\))?: expected segments of .*"
                    + "|the row has (?:more than )?\\d+ (?:bytes|characters), (?:which is the limit|at most \\d+ are accepted) \\(softcall.jobs.row-bytes\\)"
                    + "|the row is not valid CSV(?:: more text follows a closing quote"
                    + "|: a quote that opens here is not closed within \\d+ characters \\(softcall.jobs.row-bytes\\))?"
                    + "|the row has \\d+ fields, expected \\d+ as the first line has"
                    + "|(?:id|task|text[12]?) is not UTF-8"
                    + "|the row (?:" + Reasons.MALFORMED_JSON + ")",
            Pattern.DOTALL);

    private FuzzedRows() {}

    /**
     * Reads all rows of a file.
     *
     * @param name the name of the file, which determines its format
     * @param decoders a pattern of the exceptions' names whose words a message about the file may contain
     * @return empty if the file is bad, for a reason that its sender may read
     */
    public static Optional<List<Row>> read(String name, byte[] content, String decoders) {
        return read(name, content, decoders, 1 << 20, 1_000);
    }

    /** Reads all rows of a file in parts. */
    public static Optional<List<Row>> read(String name, byte[] content, String decoders, int partBytes, int partRows) {
        List<Row> rows;
        try {
            rows = Allocation.within(BYTES_ALWAYS + BYTES_EACH * content.length, () -> BytesBucket.file(name, content)
                    .rows(partBytes, partRows, LIMITS));
        } catch (JobFailure e) {
            assertEquals(JobFailure.Code.BAD_FILE, e.code());
            String reason = Reasons.printable(e.getMessage());
            assertTrue(
                    !reason.contains("Exception") || reason.matches(".*read to its end: (?:" + decoders + ")\\b.*"),
                    reason);
            return Optional.empty();
        }
        rows.forEach(FuzzedRows::check);
        return Optional.of(rows);
    }

    static void check(Row row) {
        assertEquals(json(row.id()), idInResults(row.id()));
        switch (row) {
            case Row.Bad bad -> Reasons.repeatsNothing(PROBLEM, bad.problem());
            case Row.Texts texts -> {
                assertTrue(texts.texts().size() == 1 || texts.texts().size() == 2);
                texts.texts().forEach(text -> assertFalse(text.length() > LIMITS.rowBytes()));
            }
        }
    }

    /** Returns an id as readers of the result see it. */
    static Object json(RowId id) {
        try {
            return JSON.readTree(id.json());
        } catch (IOException e) {
            throw new AssertionError(id.json(), e);
        }
    }

    private static Object idInResults(RowId id) {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        try (JsonGenerator out = JSON.createGenerator(line)) {
            out.writeStartObject();
            ResultFields.id(out, id);
            out.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        try {
            return JSON.readTree(line.toByteArray()).get("id");
        } catch (IOException e) {
            throw new AssertionError(line.toString(java.nio.charset.StandardCharsets.UTF_8), e);
        }
    }
}
