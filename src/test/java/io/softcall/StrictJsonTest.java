package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Untrusted JSON is bounded, in UTF-8, and never repeated in a message. */
class StrictJsonTest {

    private static final StrictJson JSON = new StrictJson(4, 20);

    private static String fault(byte[] document) {
        return assertThrows(StrictJson.MalformedException.class, () -> JSON.read(document))
                .getMessage();
    }

    private static String fault(String document) {
        return fault(document.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void readsUtf8WithAndWithoutAMark() throws StrictJson.MalformedException {
        assertEquals(
                "日本",
                JSON.read("\ufeff{\"a\": \"日本\"}".getBytes(StandardCharsets.UTF_8))
                        .get("a")
                        .textValue());
        assertEquals(1, JSON.read(" 1 ".getBytes(StandardCharsets.UTF_8)).intValue());
    }

    /** Jackson takes zeros at the start for UTF-16 or UTF-32, and fails with exceptions of other types. */
    @ParameterizedTest
    @ValueSource(strings = {"UTF-16", "UTF-16LE", "UTF-32", "UTF-32LE", "ISO-8859-1"})
    void refusesOtherEncodings(String charset) {
        String problem = fault("{\"model\": \"Stra\u00dfe\"}".getBytes(Charset.forName(charset)));
        assertTrue(problem.contains("UTF-8") || problem.contains("JSON"), problem);
    }

    @Test
    void refusesTheFramingOfASchemaRegistry() throws Exception {
        byte[] framed = Files.readAllBytes(Path.of("src/test/resources/cases/confluent-framed.bin"));
        assertEquals("is not valid JSON: it cannot be parsed at line 1, column 2", fault(framed));
    }

    @Test
    void saysWhereAndRepeatsNothing() {
        assertEquals("is not valid JSON: it cannot be parsed at line 1, column 1", fault("CUSTOMERTEXT"));
        assertEquals("is not valid JSON: it ends too early at line 1, column 16", fault("{\"a\": \"CUSTOMER"));
        assertEquals("is not valid JSON: more text follows its end at line 1, column 4", fault("{} {\"CUSTOMER\": 1}"));
        for (String document :
                List.of("\"\\x CUSTOMER\"", "[CUSTOMER]", "{CUSTOMER: 1}", "{\"a\": CUSTOMER}", "\"CUST\nOMER\"")) {
            assertFalse(fault(document).contains("CUST"), fault(document));
        }
    }

    @Test
    void namesAFieldThatStandsTwice() {
        assertEquals(
                "is not valid JSON: the field \"a\\nb\" appears twice in an object at line 1, column 19",
                fault("{\"a\\nb\": 1, \"a\\nb\": 2}"));
    }

    @Test
    void boundsDepthTokensAndNumbers() {
        assertTrue(fault("[[[[[1]]]]]").contains("depth (5) exceeds the maximum allowed (4"));
        assertTrue(fault("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]").contains("exceeds the maximum allowed (20"));
        assertTrue(fault("9".repeat(2_000)).contains("Number value length (2000) exceeds the maximum allowed"));
    }

    @Test
    void refusesNothingAtAll() {
        assertEquals("is empty, expected JSON", fault(""));
        assertEquals("is empty, expected JSON", fault(" \n"));
    }
}
