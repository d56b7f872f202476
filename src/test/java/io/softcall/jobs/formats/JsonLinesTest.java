package io.softcall.jobs.formats;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.jobs.files.Limits;
import io.softcall.jobs.files.ObjectStream;
import io.softcall.jobs.files.Row;
import io.softcall.jobs.files.StoredFile;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Rows of JSON, one per line, in any part. */
class JsonLinesTest {

    @TempDir
    Path folder;

    private StoredFile file(byte[] content) throws IOException {
        return StoredFile.of(folder, "x.jsonl", content);
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private List<Row> rows(String content) throws IOException {
        return file(utf8(content)).rows(1 << 20, 1, new Limits(5_000, 1 << 24, 1_000));
    }

    private Row row(String line) throws IOException {
        List<Row> rows = rows(line);
        assertEquals(1, rows.size());
        return rows.getFirst();
    }

    private static String problem(Row row) {
        return assertInstanceOf(Row.Bad.class, row).problem();
    }

    @Test
    void rowsAreTheSameInPartsOfAnySize() throws IOException {
        StringBuilder content = new StringBuilder("\ufeff");
        for (int i = 0; i < 60; i++) {
            content.append("{\"id\": %d, \"text\": \"%s\"}".formatted(i, "ü".repeat(i * 17)))
                    .append(i % 3 == 0 ? "\r\n\n" : "\n");
        }
        StoredFile file = file(utf8(content.toString()));
        List<Row> whole = file.rows(1 << 20, 1, StoredFile.LIMITS);
        assertEquals(60, whole.size());
        for (int partBytes : List.of(1, 10, 100, 999, 1_000, 1_001, 5_000)) {
            List<Row> rows = file.rows(partBytes, 1, StoredFile.LIMITS);
            assertEquals(whole, rows, "parts of " + partBytes);
        }
    }

    /** A line of 20 MB in 100 parts, between two good rows. */
    @Test
    void aRowThatIsTooLongCostsOnePass() throws IOException {
        byte[] content = new byte[20 << 20];
        Arrays.fill(content, (byte) 'x');
        byte[] first = utf8("{\"text\": \"a\"}\n");
        byte[] last = utf8("\n{\"text\": \"z\"}\n");
        System.arraycopy(first, 0, content, 0, first.length);
        System.arraycopy(last, 0, content, content.length - last.length, last.length);
        StoredFile file = file(content);
        List<Row> rows = file.rows(content.length / 99, 1, new Limits(100_000, 1 << 30, 1_000));
        assertEquals(3, rows.size());
        assertTrue(problem(rows.get(1)).contains("more than 100000 bytes"), problem(rows.get(1)));
        // Each part reads blocks of 1 MB, and may need one more.
        long most = content.length + 100L * 2 * ObjectStream.BLOCK_BYTES;
        assertTrue(file.bucket().bytes() <= most, file.bucket().bytes() + " bytes were read, expected " + most);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "1e400",
                "-1e-400",
                "0.10000000000000000555",
                "1e2",
                "1E+2",
                "100.0",
                "-0",
                "-0.0",
                "12345678901234567890123456789",
                "18446744073709551615",
                "\"1e2\"",
                "\"\"",
                "\"a\\\"b\\\\c\\n\\u0000ü日\"",
                "\"\\ud800\"",
                "\"\\ud83d\\ude00\"",
                "null"
            })
    void idsComeBackAsTheyWereWritten(String id) throws IOException {
        Row row = row("{\"text\": \"a\", \"id\": " + id + "}");
        assertInstanceOf(Row.Texts.class, row);
        JsonMapper json = new JsonMapper();
        if (id.startsWith("\"")) {
            assertEquals(json.readTree(id), json.readTree(utf8(row.id().json())));
        } else {
            assertEquals(id, row.id().json());
        }
    }

    @Test
    void idsThatAreNoneAreErrorsOfTheirRows() throws IOException {
        assertTrue(problem(row("{\"id\": [1], \"text\": \"a\"}")).contains("id is a list"));
        assertTrue(problem(row("{\"id\": {\"a\": 1}, \"text\": \"a\"}")).contains("id is an object"));
        assertTrue(problem(row("{\"id\": true, \"text\": \"a\"}")).contains("id is true"));
        assertTrue(problem(row("{\"id\": \"%s\", \"text\": \"a\"}".formatted("x".repeat(1_001))))
                .contains("1001 characters, at most 1000"));
        assertFalse(row("{\"id\": \"%s\", \"text\": \"a\"}".formatted("x".repeat(1_000))) instanceof Row.Bad);
        assertTrue(problem(row("{\"id\": 1%s, \"text\": \"a\"}".formatted("0".repeat(1_000))))
                .contains("1000"));
    }

    @Test
    void aRowHasOneTextOrTwo() throws IOException {
        assertTrue(problem(row("{\"text\": \"a\", \"text1\": \"b\"}")).contains("the row has text and text1"));
        assertTrue(problem(row("{\"text\": \"a\", \"text1\": \"b\", \"text2\": \"c\"}"))
                .contains("text and text1 and text2"));
        assertTrue(problem(row("{\"text2\": \"c\"}")).contains("the row has text2"));
        assertTrue(problem(row("{}")).contains("the row has no text"));
        assertTrue(problem(row("{\"text\": 5}")).contains("text is a number"));
        assertTrue(problem(row("{\"text\": [\"a\"]}")).contains("text is a list"));
        assertEquals(
                List.of("a"),
                assertInstanceOf(Row.Texts.class, row("{\"text\": \"a\", \"text1\": null, \"other\": [{\"text\": 1}]}"))
                        .texts());
        // A row with a problem keeps its id.
        assertEquals("7", row("{\"text\": 5, \"id\": 7}").id().json());
    }

    @Test
    void malformedUtf8IsAnErrorOfItsRow() throws IOException {
        for (String charset : List.of("windows-1252", "Shift_JIS", "UTF-16BE")) {
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            content.writeBytes(utf8("{\"text\": \"a\"}\n"));
            content.writeBytes("{\"text\": \"Straße 日本\"}".getBytes(Charset.forName(charset)));
            content.writeBytes(utf8("\n{\"text\": \"b\"}\n"));
            List<Row> rows = file(content.toByteArray()).rows();
            assertEquals(3, rows.size(), charset);
            assertInstanceOf(Row.Texts.class, rows.get(0));
            assertTrue(problem(rows.get(1)).matches("the row is not (UTF-8|valid JSON.*)"), problem(rows.get(1)));
            assertInstanceOf(Row.Texts.class, rows.get(2));
        }
    }

    @Test
    void messagesRepeatNothing() throws IOException {
        List<String> lines = new ArrayList<>(List.of(
                "CUSTOMERTEXT",
                "{\"text\": CUSTOMERTEXT}",
                "{\"text\": \"CUSTOMERTEXT",
                "{\"text\": \"a\"} CUSTOMERTEXT",
                "\"CUSTOMERTEXT\"",
                "{\"text\": [\"CUSTOMERTEXT\"]}"));
        for (String line : lines) {
            assertFalse(problem(row(line)).contains("CUSTOMER"), problem(row(line)));
        }
    }
}
