package io.softcall.jobs.formats;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.jobs.files.JobFailure;
import io.softcall.jobs.files.Limits;
import io.softcall.jobs.files.Row;
import io.softcall.jobs.files.StoredFile;
import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Rows of CSV. A problem with one row does not affect the others. */
class CsvTest {

    private static final Path CASES = Path.of("src/test/resources/cases");

    @TempDir
    Path folder;

    private List<Row> rows(byte[] content) throws IOException {
        return StoredFile.of(folder, "x.csv", content).rows();
    }

    private List<Row> rows(String content) throws IOException {
        return rows(content.getBytes(StandardCharsets.UTF_8));
    }

    private String fault(byte[] content) {
        JobFailure failure = assertThrows(JobFailure.class, () -> rows(content));
        assertEquals(JobFailure.Code.BAD_FILE, failure.code());
        return failure.getMessage();
    }

    private String fault(String content) {
        return fault(content.getBytes(StandardCharsets.UTF_8));
    }

    private static String text(Row row) {
        return assertInstanceOf(Row.Texts.class, row).texts().getFirst();
    }

    private static String problem(Row row) {
        return assertInstanceOf(Row.Bad.class, row).problem();
    }

    @Test
    void readsWhatSpreadsheetsWrite() throws IOException {
        List<Row> rows = rows("\ufeffid,note,text\r\n1,\"a\r\nb\",\"say \"\"x\"\", \n\r\n y\"\r\n\r\n,,z\r3,\"\",last");
        assertEquals(3, rows.size());
        assertEquals("say \"x\", \n\r\n y", text(rows.get(0)));
        assertEquals("\"1\"", rows.get(0).id().json());
        assertEquals("z", text(rows.get(1)));
        assertEquals("null", rows.get(1).id().json());
        assertEquals("last", text(rows.get(2)));
    }

    @Test
    void aRowThatIsNoCsvCostsThatRow() throws IOException {
        List<Row> rows = rows(Files.readAllBytes(CASES.resolve("quote_row.csv")));
        assertEquals(3, rows.size());
        assertEquals("fine", text(rows.get(0)));
        assertEquals("the row is not valid CSV: more text follows a closing quote", problem(rows.get(1)));
        assertEquals("fine too", text(rows.get(2)));
    }

    @Test
    void aStrayQuoteDoesNotTakeTheRowsBehindItAlong() throws IOException {
        List<Row> rows = rows("id,text\n1,a\n2,\"never closed\n3,c\n4,\"d\"\n5,\"e\ne\"\n6,f");
        assertEquals(6, rows.size());
        assertTrue(problem(rows.get(1)).contains("quote"), problem(rows.get(1)));
        assertEquals(
                List.of("a", "c", "d", "e\ne", "f"),
                rows.stream()
                        .filter(Row.Texts.class::isInstance)
                        .map(CsvTest::text)
                        .toList());
        // The open quote reaches to the end of the file, within and beyond the limit of a row.
        for (int more : List.of(3, 300)) {
            rows = rows("id,text\n1,\"never closed\n" + "2,abcdefghij\n".repeat(more));
            assertEquals(1 + more, rows.size());
            assertTrue(problem(rows.getFirst()).contains("a quote that opens here is not closed"));
            assertEquals("abcdefghij", text(rows.getLast()));
        }
    }

    /** A separate search for the end of each quote would take hours. */
    @ParameterizedTest
    @ValueSource(strings = {"", "\"z\n"})
    void quotesThatAreNotClosedCostOnePassTogether(String end) {
        int lines = 100_000;
        byte[] content = ("text\n" + "\",x\",\"\n\"\"z\n".repeat(lines) + end).getBytes(StandardCharsets.UTF_8);
        Limits limits = new Limits(1 << 20, 1 << 24, 2 * lines + 2);
        List<Row> rows = assertTimeoutPreemptively(Duration.ofMinutes(1), () -> StoredFile.of(folder, "x.csv", content)
                .rows(1, 1, limits));
        assertTrue(rows.size() >= 2 * lines);
        rows.subList(0, 2 * lines).forEach(CsvTest::problem);
    }

    @Test
    void aRowThatIsTooLongCostsThatRow() throws IOException {
        for (String open : List.of("", "\"")) {
            List<Row> rows = rows("text\na\n" + open + "x".repeat(100_000) + "\nb\n");
            assertEquals(3, rows.size());
            assertTrue(problem(rows.get(1)).contains("more than 1000 characters"), problem(rows.get(1)));
            assertEquals("b", text(rows.get(2)));
        }
        assertEquals(1_000, text(rows("text\n" + "x".repeat(1_000)).getFirst()).length());
    }

    @Test
    void aFileThatIsNotUtf8IsBadWhereverItIsNot() throws IOException {
        assertTrue(fault(Files.readAllBytes(CASES.resolve("cp1252.csv"))).contains("not UTF-8"));
        assertTrue(fault("id,text\n1,日本語のテキスト\n".getBytes(Charset.forName("Shift_JIS")))
                .contains("not UTF-8"));
        byte[] late = ("text\n" + "a line of text\n".repeat(100)).getBytes(StandardCharsets.UTF_8);
        late[late.length - 3] = (byte) 0xe4;
        assertTrue(fault(late).contains("not UTF-8"));
        byte[] cut = "text\nStraß".getBytes(StandardCharsets.UTF_8);
        assertTrue(fault(java.util.Arrays.copyOf(cut, cut.length - 1)).contains("not UTF-8"));
    }

    @Test
    void nothingOfAFileWithoutAHeaderIsRepeated() {
        String fault = fault("17,CUSTOMERTEXT,x\n18,b,y\n");
        assertEquals("the first line names 3 columns, expected one called text, or text1 and text2", fault);
        assertFalse(fault("\"CUSTOMERTEXT\" b\n").contains("CUSTOMER"));
        assertTrue(fault("text,id,text\na,b,c\n").contains("names the column text twice"));
        assertTrue(fault("").contains("names 0 columns"));
    }

    @Test
    void fieldsAreAsManyAsColumns() throws IOException {
        List<Row> rows = rows("text,x\na\nb,1\nc,1,2\n");
        assertTrue(problem(rows.get(0)).contains("has 1 fields, expected 2"));
        assertEquals("b", text(rows.get(1)));
        assertTrue(problem(rows.get(2)).contains("has 3 fields, expected 2"));
    }
}
