package io.softcall.jobs.formats;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Any CSV is split into the same records that a search for one record after the other finds. */
class CsvRecordsFuzzTest {

    private static final int MOST_CHARACTERS = 100;
    private static final String FIELD = "(?:\"[^\"]*+(?:\"\"[^\"]*+)*+\"|(?!\")[^,\r\n]*+)";
    private static final Pattern RECORD = Pattern.compile(FIELD + "(?:," + FIELD + ")*+(?=[\r\n]|\\z)");
    private static final Pattern LINE = Pattern.compile("[^\r\n]*+");
    private static final Pattern ENDS = Pattern.compile("[\r\n]*+");
    private static final String BAD = "bad";

    @FuzzTest
    void records(byte[] file) throws IOException {
        String text = new String(file, StandardCharsets.UTF_8);
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        assertEquals(oneByOne(text.startsWith("\ufeff") ? text.substring(1) : text), records(utf8, text.length()));
    }

    private static List<String> records(byte[] utf8, int most) throws IOException {
        List<String> found = new ArrayList<>();
        try (CsvRecords records = new CsvRecords(new ByteArrayInputStream(utf8), MOST_CHARACTERS)) {
            Optional<CsvRecords.Raw> next = records.next();
            for (; next.isPresent() && found.size() <= most; next = records.next()) {
                found.add(next.get().problem().isPresent() ? BAD : next.get().text());
            }
        }
        return found;
    }

    /** Finds one record after the other. A line in which no record begins that is short enough is a bad line. */
    private static List<String> oneByOne(String text) {
        List<String> found = new ArrayList<>();
        int at = end(ENDS, text, 0);
        while (at < text.length()) {
            Matcher record = RECORD.matcher(text).region(at, text.length());
            boolean good = record.lookingAt() && record.end() - at <= MOST_CHARACTERS;
            found.add(good ? record.group() : BAD);
            at = end(ENDS, text, good ? record.end() : end(LINE, text, at));
        }
        return found;
    }

    private static int end(Pattern pattern, String text, int from) {
        Matcher matcher = pattern.matcher(text).region(from, text.length());
        matcher.lookingAt();
        return matcher.end();
    }
}
