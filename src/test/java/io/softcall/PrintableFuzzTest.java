package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.nio.charset.StandardCharsets;

/** Any text from outside becomes one visible, short line. */
class PrintableFuzzTest {

    private static final String CUT = "...";

    /** @param input a length, and a text */
    @FuzzTest
    void of(byte[] input) {
        int maxLength = CUT.length() + (input.length == 0 ? 0 : input[0] & 0xff);
        String text = String.join("", FuzzTexts.of(input));
        String printable = Printable.of(text, maxLength);
        assertTrue(printable.length() <= maxLength, printable);
        assertEquals(printable, Printable.of(printable, maxLength));
        assertTrue(printable.codePoints().allMatch(PrintableFuzzTest::isSeen), printable);
        assertEquals(printable, new String(printable.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8));
        String whole = Printable.of(text, Integer.MAX_VALUE);
        if (whole.length() <= maxLength) {
            assertEquals(whole, printable);
        } else {
            assertTrue(printable.endsWith(CUT) && whole.startsWith(printable.substring(0, printable.length() - 3)));
        }
    }

    private static boolean isSeen(int codePoint) {
        return Character.isDefined(codePoint)
                && !Character.isISOControl(codePoint)
                && Character.getType(codePoint) != Character.FORMAT;
    }
}
