package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException.Reason;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/** What every reason is that somebody is told: printable, short, and of whoever sent what is wrong. */
public final class Reasons {

    /** What {@link StrictJson} says, whatever it has read. Only the name of a field is repeated. */
    public static final String MALFORMED_JSON = "is not UTF-8|is empty, expected JSON|is not valid JSON: (?:"
            + "(?:it cannot be parsed|it ends too early|more text follows its end"
            + "|the field \".*\" appears twice in an object)(?: at line \\d+, column \\d+)?"
            + "|[\\w ]*\\(?-?\\d*\\)?[\\w ]* exceeds the maximum allowed \\(\\d+(?:, from `[\\w.()]+`)?\\))";

    private static final Set<Reason> OF_THE_SENDER =
            EnumSet.of(Reason.INVALID_REQUEST, Reason.UNSUPPORTED_MEDIA_TYPE, Reason.TEXT_TOO_LONG, Reason.FORBIDDEN);

    private Reasons() {}

    /** Holds a refusal to what a sender may be told. @return its message */
    public static String ofTheSender(SoftcallException refusal) {
        assertTrue(OF_THE_SENDER.contains(refusal.reason()), () -> refusal.reason() + ": " + refusal.getMessage());
        printable(refusal.detail());
        return printable(refusal.publicMessage());
    }

    /** What is read, or nothing where that is refused for a reason that the sender may be told. */
    public static <T> Optional<T> unlessRefused(Supplier<T> reading) {
        try {
            return Optional.of(reading.get());
        } catch (SoftcallException e) {
            ofTheSender(e);
            return Optional.empty();
        }
    }

    /** @return the message */
    public static String printable(String message) {
        assertEquals(Printable.of(message), message);
        return message;
    }

    /** @param expected all that the message may be: it repeats nothing else */
    public static void repeatsNothing(Pattern expected, String message) {
        assertTrue(expected.matcher(printable(message)).matches(), message);
    }
}
