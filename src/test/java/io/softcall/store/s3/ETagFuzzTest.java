package io.softcall.store.s3;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.softcall.Reasons;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

/** Any ETag of a store or a proxy becomes a version that is sent back unchanged, or the store counts as unavailable. */
class ETagFuzzTest {

    /**
     * The syntax of RFC 9110, 8.8.3, without {@code "W-x"}, which nobody sends, and which would be sent back as {@code W/"x"}.
     */
    private static final Pattern ENTITY_TAG = Pattern.compile("W/\"[!#-~\\x80-\\xff]+\"|\"(?!W-)[!#-~\\x80-\\xff]+\"");

    private static final int MOST_CHARACTERS = 200;

    @FuzzTest
    void version(byte[] bytes) {
        String sent = new String(bytes, StandardCharsets.ISO_8859_1);
        String version;
        try {
            version = ETag.version("s3://bucket/", sent);
        } catch (SoftcallException e) {
            assertEquals(Reason.STORE_UNAVAILABLE, e.reason());
            Reasons.printable(e.getMessage());
            assertFalse(ENTITY_TAG.matcher(sent).matches() && sent.length() <= MOST_CHARACTERS, sent);
            return;
        }
        assertFalse(version.isBlank());
        assertFalse(version.contains("\""));
        String header = ETag.header(version);
        boolean looksWeak = version.startsWith("W-") && !sent.startsWith("W/");
        if (header.length() <= MOST_CHARACTERS && !looksWeak) {
            assertEquals(version, ETag.version("s3://bucket/", header));
        }
        if (ENTITY_TAG.matcher(sent).matches()) {
            assertEquals(sent, header);
        }
        assertTrue(version.length() <= sent.length());
    }
}
