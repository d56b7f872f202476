package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.logging.Level;
import org.jboss.logging.Logger;
import org.junit.jupiter.api.Test;

/** A failure that happens with each call is logged as one short line a minute. */
class RareLogTest {

    private static final String NAME = "io.softcall.RareLogTest";

    @Test
    void ofEachThingOneLineThatIsPrintableAndShort() {
        try (CapturedLog captured = new CapturedLog()) {
            RareLog log = new RareLog(Logger.getLogger(NAME));
            for (int i = 0; i < 1_000; i++) {
                log.warn("a", "first\nof \u001b[31ma");
                log.warn("b", "x".repeat(1_000_000));
            }
            assertEquals(
                    List.of(NAME + ": first\\nof \\u001b[31ma", NAME + ": " + "x".repeat(497) + "..."),
                    captured.lines(Level.WARNING));
        }
    }
}
