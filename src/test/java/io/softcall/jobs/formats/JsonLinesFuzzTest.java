package io.softcall.jobs.formats;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.DictionaryFile;
import com.code_intelligence.jazzer.junit.FuzzTest;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.softcall.FuzzTexts;
import io.softcall.StrictJson;
import io.softcall.jobs.files.FuzzedRows;
import io.softcall.jobs.files.Row;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** Any JSON lines are read row by row, with the same result in parts of any size and as items of a list. */
class JsonLinesFuzzTest {

    private static final String NO_DECODER = "none";
    /** A reader with larger bounds on depth and tokens than those of a row. */
    private static final StrictJson LISTS = new StrictJson(100, 1_000_000);

    @DictionaryFile(resourcePath = FuzzTexts.JSON_WORDS)
    @FuzzTest
    void rows(byte[] file) {
        Optional<List<Row>> rows = FuzzedRows.read("x.jsonl", file, NO_DECODER);
        long feeds = new String(file, StandardCharsets.ISO_8859_1)
                .chars()
                .filter(unit -> unit == '\n')
                .count();
        assertTrue(rows.orElse(List.of()).size() <= feeds + 1);
        for (int partBytes : List.of(1 + file.length / 3, 1 + file.length / 7)) {
            assertEquals(rows, FuzzedRows.read("x.jsonl", file, NO_DECODER, partBytes, 1));
        }
    }

    /** Items of Step Functions are rows too. {@link Row#of} reads one of many, and ignores the others. */
    @DictionaryFile(resourcePath = FuzzTexts.JSON_WORDS)
    @FuzzTest
    void items(byte[] file) throws IOException {
        String lines = new String(file, StandardCharsets.UTF_8)
                .lines()
                .filter(line -> line.length() < FuzzedRows.LIMITS.rowBytes() / 4 && isJson(line))
                .limit(100)
                .collect(Collectors.joining("\n"));
        List<Row> rows = FuzzedRows.read("x.jsonl", lines.getBytes(StandardCharsets.UTF_8), NO_DECODER)
                .orElseThrow();
        byte[] list = ("[" + lines.replace('\n', ',') + "]").getBytes(StandardCharsets.UTF_8);
        try {
            assertEquals(rows, LISTS.read(ByteBuffer.wrap(list), JsonLinesFuzzTest::items));
        } catch (StrictJson.MalformedException e) {
            throw new AssertionError(e);
        }
    }

    private static boolean isJson(String line) {
        try {
            new StrictJson(32, 10_000).read(line);
            return !line.startsWith("\ufeff");
        } catch (StrictJson.MalformedException e) {
            return false;
        }
    }

    private static List<Row> items(JsonParser list) throws IOException {
        List<Row> rows = new ArrayList<>();
        while (list.nextToken() != JsonToken.END_ARRAY) {
            rows.add(Row.of(list));
        }
        return rows;
    }
}
