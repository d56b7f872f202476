package io.softcall;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.jboss.logmanager.formatters.PatternFormatter;

/** The lines that the server logs from now on, with stack traces. */
public final class CapturedLog implements AutoCloseable {

    private static final PatternFormatter FORMATTER = new PatternFormatter("%s");

    private record Line(Level level, String text) {}

    private final List<Line> lines = new CopyOnWriteArrayList<>();

    private final Handler handler = new Handler() {
        @Override
        public void publish(LogRecord logged) {
            // The message is formatted now, because its arguments may change.
            lines.add(new Line(logged.getLevel(), line(logged)));
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    };

    public CapturedLog() {
        handler.setLevel(Level.ALL);
        Logger.getLogger("").addHandler(handler);
    }

    /** Returns the lines of this level or a higher one. */
    public List<String> lines(Level least) {
        return lines.stream()
                .filter(line -> line.level().intValue() >= least.intValue())
                .map(Line::text)
                .toList();
    }

    private static String line(LogRecord logged) {
        StringBuilder line = new StringBuilder(logged.getLoggerName()).append(": ");
        line.append(FORMATTER.formatMessage(logged));
        for (Throwable cause = logged.getThrown(); cause != null; cause = cause.getCause()) {
            line.append(" / ").append(cause);
        }
        return line.toString();
    }

    @Override
    public void close() {
        Logger.getLogger("").removeHandler(handler);
    }
}
