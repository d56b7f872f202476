package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import org.jboss.logging.Logger;
import org.junit.jupiter.api.Test;

/** A thing that goes wrong with each call is one short line a minute. */
class RareLogTest {

    private static final String NAME = "io.softcall.RareLogTest";

    @Test
    void ofEachThingOneLineThatIsPrintableAndShort() {
        List<String> lines = new ArrayList<>();
        Handler handler = new Handler() {
            @Override
            public void publish(LogRecord line) {
                lines.add(line.getMessage());
            }

            @Override
            public void flush() {}

            @Override
            public void close() {}
        };
        java.util.logging.Logger.getLogger(NAME).addHandler(handler);
        try {
            RareLog log = new RareLog(Logger.getLogger(NAME));
            for (int i = 0; i < 1_000; i++) {
                log.warn("a", "first\nof \u001b[31ma");
                log.warn("b", "x".repeat(1_000_000));
            }
        } finally {
            java.util.logging.Logger.getLogger(NAME).removeHandler(handler);
        }
        assertEquals(List.of("first\\nof \\u001b[31ma", "x".repeat(497) + "..."), lines);
    }
}
