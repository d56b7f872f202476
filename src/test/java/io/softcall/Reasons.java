package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException.Reason;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/** The properties of every reason that a sender reads: it is printable and short, and its category blames the sender. */
public final class Reasons {

    /** The messages of {@link StrictJson} for any content. They repeat only names of fields. */
    public static final String MALFORMED_JSON = "is not UTF-8|is empty, expected JSON|is not valid JSON: (?:"
            + "(?:it cannot be parsed|it ends too early|more text follows its end"
            + "|the field \".*\" appears twice in an object)(?: at line \\d+, column \\d+)?"
            + "|[\\w ]*\\(?-?\\d*\\)?[\\w ]* exceeds the maximum allowed \\(\\d+(?:, from `[\\w.()]+`)?\\))";

    private static final Set<Reason> OF_THE_SENDER =
            EnumSet.of(Reason.INVALID_REQUEST, Reason.UNSUPPORTED_MEDIA_TYPE, Reason.TEXT_TOO_LONG, Reason.FORBIDDEN);

    private Reasons() {}

    /**
     * Checks that a sender may read a refusal.
     *
     * @return its message
     */
    public static String ofTheSender(SoftcallException refusal) {
        assertTrue(OF_THE_SENDER.contains(refusal.reason()), () -> refusal.reason() + ": " + refusal.getMessage());
        printable(refusal.detail());
        return printable(refusal.publicMessage());
    }

    /** Returns the result of reading; empty if it is refused with a reason that the sender may read. */
    public static <T> Optional<T> unlessRefused(Supplier<T> reading) {
        try {
            return Optional.of(reading.get());
        } catch (SoftcallException e) {
            ofTheSender(e);
            return Optional.empty();
        }
    }

    /**
     * Checks that a message is printable.
     *
     * @return the message
     */
    public static String printable(String message) {
        assertEquals(Printable.of(message), message);
        return message;
    }

    /** @param expected the pattern of the whole message, which therefore repeats nothing else */
    public static void repeatsNothing(Pattern expected, String message) {
        assertTrue(expected.matcher(printable(message)).matches(), message);
    }
}
