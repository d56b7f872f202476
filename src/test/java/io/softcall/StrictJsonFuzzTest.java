package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.code_intelligence.jazzer.junit.DictionaryFile;
import com.code_intelligence.jazzer.junit.FuzzTest;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

/** Any JSON is read as Jackson reads it, or is refused with a reason that repeats nothing of it. */
class StrictJsonFuzzTest {

    private static final int DEPTH = 16;
    private static final int TOKENS = 1_000;
    private static final StrictJson JSON = new StrictJson(DEPTH, TOKENS);
    private static final JsonMapper JACKSON = new JsonMapper();
    private static final Pattern EXPECTED = Pattern.compile(Reasons.MALFORMED_JSON, Pattern.DOTALL);

    /** The memory per byte of a document. A number or an empty list has two characters there, and is several objects here. */
    private static final int BYTES_EACH = 200;

    private static final int BYTES_ALWAYS = 16 << 20;

    @DictionaryFile(resourcePath = FuzzTexts.JSON_WORDS)
    @FuzzTest
    void read(byte[] document) throws IOException {
        JsonNode read;
        try {
            read = Allocation.within(BYTES_ALWAYS + (long) BYTES_EACH * document.length, () -> JSON.read(document));
        } catch (StrictJson.MalformedException e) {
            Reasons.repeatsNothing(EXPECTED, e.getMessage());
            return;
        }
        String text = new String(document, StandardCharsets.UTF_8);
        assertEquals(JACKSON.readTree(text.startsWith("\ufeff") ? text.substring(1) : text), read);
        try {
            assertEquals(read, JSON.read(text));
            assertEquals(read.toString(), JSON.read(read.toString()).toString());
            ByteBuffer part = ByteBuffer.allocate(document.length + 2)
                    .put((byte) '[')
                    .put(document)
                    .flip();
            assertEquals(read, JSON.read(part.position(1)));
        } catch (StrictJson.MalformedException e) {
            throw new AssertionError("another form of the same document", e);
        }
    }
}
