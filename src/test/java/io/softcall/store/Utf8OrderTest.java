package io.softcall.store;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The order of S3's listings, which is that of the bytes. */
class Utf8OrderTest {

    @Test
    void asTheBytes() {
        List<String> texts =
                List.of("", "a", "ab", "b", "ä", "\uffee", "\uffeea", "\ud83d\ude80", "\ud83d\ude80a", "\ud83d\ude81");
        for (String left : texts) {
            for (String right : texts) {
                int bytes = Arrays.compareUnsigned(
                        left.getBytes(StandardCharsets.UTF_8), right.getBytes(StandardCharsets.UTF_8));
                assertEquals(
                        Integer.signum(bytes),
                        Integer.signum(Utf8Order.COMPARATOR.compare(left, right)),
                        () -> left + " and " + right);
            }
        }
    }
}
