package io.softcall.jobs.formats;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import de.siegmar.fastcsv.writer.CsvWriter;
import de.siegmar.fastcsv.writer.LineDelimiter;
import de.siegmar.fastcsv.writer.QuoteStrategies;
import io.softcall.FuzzTexts;
import io.softcall.jobs.files.FuzzedRows;
import io.softcall.jobs.files.Row;
import io.softcall.jobs.files.RowId;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Any CSV is read row by row, or is a bad file. The output of another CSV writer is read as it was written. */
class CsvFuzzTest {

    private static final String NO_DECODER = "none";
    private static final int MOST_CHARACTERS = 400;

    @FuzzTest
    void rows(byte[] file) {
        Optional<List<Row>> rows = FuzzedRows.read("x.csv", file, NO_DECODER);
        long lines = new String(file, StandardCharsets.UTF_8).lines().count();
        assertTrue(rows.orElse(List.of()).size() <= Math.max(0, lines - 1));
    }

    /** @param input ids and texts in turn, which FastCSV writes */
    @FuzzTest
    void written(byte[] input) {
        List<String> fields = FuzzTexts.of(input).stream()
                .map(field -> field.codePoints()
                        .filter(point -> Character.getType(point) != Character.SURROGATE)
                        .limit(MOST_CHARACTERS))
                .map(points -> points.collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                        .toString())
                .limit(100)
                .toList();
        StringWriter file = new StringWriter();
        List<Row> expected = new ArrayList<>();
        try (CsvWriter csv = CsvWriter.builder()
                .quoteStrategy(fields.size() % 2 == 0 ? QuoteStrategies.ALWAYS : QuoteStrategies.NON_EMPTY)
                .lineDelimiter(fields.size() % 3 == 0 ? LineDelimiter.CRLF : LineDelimiter.LF)
                .build(file)) {
            csv.writeRecord("id", "other", "text");
            for (int i = 0; i + 1 < fields.size(); i += 2) {
                csv.writeRecord(fields.get(i), "", fields.get(i + 1));
                RowId id = fields.get(i).isEmpty() ? RowId.NONE : RowId.text(fields.get(i));
                expected.add(
                        fields.get(i + 1).isEmpty()
                                ? new Row.Bad(id, "the row has no text, expected text, or text1 and text2")
                                : new Row.Texts(id, Optional.empty(), List.of(fields.get(i + 1))));
            }
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        byte[] bytes = file.toString().getBytes(StandardCharsets.UTF_8);
        assertEquals(Optional.of(expected), FuzzedRows.read("x.csv", bytes, NO_DECODER));
    }
}
