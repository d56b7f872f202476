package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException.Reason;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Foreign text in logs and messages becomes one visible line of bounded length. */
class PrintableTest {

    @ParameterizedTest
    @CsvSource(quoteCharacter = '`', textBlock = """
                    plain text, "quotes" and \\ | plain text, "quotes" and \\
                    日本 Straße 🚀            | 日本 Straße 🚀
                    """, delimiter = '|')
    void leavesWhatCanBeSeen(String text, String expected) {
        assertEquals(expected, Printable.of(text));
    }

    @Test
    void escapesWhatATerminalObeysAndWhatIsNotSeen() {
        assertEquals("a\\nb\\rc\\td", Printable.of("a\nb\rc\td"));
        assertEquals("\\u001b[31mred\\u0000\\u007f\\u009b", Printable.of("\u001b[31mred\0\u007f\u009b"));
        assertEquals("\\u202eevil\\u2028\\u200b\\ufeff", Printable.of("\u202eevil\u2028\u200b\ufeff"));
        assertEquals("half \\ud83d", Printable.of("half \ud83d"));
        assertEquals("\\u{e0041}", Printable.of(new String(Character.toChars(0xe0041))));
    }

    @Test
    void cutsWithoutHalvingACharacter() {
        String cut = Printable.of("🚀".repeat(400));
        assertTrue(cut.length() <= Printable.MAX_LENGTH, cut);
        assertEquals("🚀".repeat(248) + "...", cut);
        assertFalse(Printable.of("\n".repeat(400)).contains("\\..."));
        assertEquals("x".repeat(500), Printable.of("x".repeat(500)));
        assertEquals("abcd...", Printable.of("abcdefghij", 7));
    }

    @Test
    void changesNothingTwice() {
        String once = Printable.of("\u001b\n" + "🚀".repeat(600));
        assertEquals(once, Printable.of(once));
    }

    @Test
    void everyProblemOfACallPassesHere() {
        var problem = new SoftcallException(Reason.ARTIFACT_REFUSED, "tensor a\nb" + "x".repeat(1_000));
        assertTrue(problem.getMessage().startsWith("tensor a\\nbxx"));
        assertEquals(Printable.MAX_LENGTH, problem.getMessage().length());
    }
}
