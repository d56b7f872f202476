package io.softcall.jobs.formats;

import io.softcall.jobs.files.JobFailure;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * Splits a CSV file into records: lines, where a line that ends within quotes continues on the next one. When a record
 * is malformed or too long, only the line in which it begins is lost, and reading continues with the next line: a stray
 * quote does not lose the rows after it.
 */
final class CsvRecords implements Closeable {

    private static final char BYTE_ORDER_MARK = '\ufeff';
    private static final int BLOCK = 1 << 14;

    private final Reader in;
    private final int maxCharacters;
    private char[] window = new char[2 * BLOCK];
    /** Index in the window at which the next record begins. */
    private int from;

    private int filled;

    /**
     * Result of the longest scan that failed: the position it reached, while every line end on its way was within
     * quotes. A later scan that is within quotes at one of these line ends would go the same way, so it jumps to the
     * end. Unclosed quotes thus cost one pass over the text together.
     */
    private int aheadTo;

    private State ahead = State.QUOTED;

    /** @param maxCharacters limit of a record */
    CsvRecords(InputStream in, int maxCharacters) throws IOException {
        // A reader with a decoder reports malformed input; one with a charset would replace it.
        this.in = new InputStreamReader(in, StandardCharsets.UTF_8.newDecoder());
        this.maxCharacters = maxCharacters;
        if (has(0) && at(0) == BYTE_ORDER_MARK) {
            from++;
        }
    }

    /**
     * The text of a record without its line end, or the problem of the line at which no record could be read.
     *
     * @param problem continues "the row"
     */
    record Raw(String text, Optional<String> problem) {}

    /** The state of a CSV parser after a character. */
    private enum State {
        FIELD_START,
        DATA,
        QUOTED,
        /** After a quote within a quoted field: the field's end, or the first half of an escaped quote. */
        QUOTE,
        MALFORMED;

        State next(char unit) {
            return switch (this) {
                case FIELD_START -> unit == '"' ? QUOTED : unit == ',' ? FIELD_START : DATA;
                case DATA -> unit == ',' ? FIELD_START : DATA;
                case QUOTED -> unit == '"' ? QUOTE : QUOTED;
                case QUOTE -> unit == '"' ? QUOTED : unit == ',' ? FIELD_START : MALFORMED;
                case MALFORMED -> MALFORMED;
            };
        }
    }

    /**
     * Returns the next record that is not blank; empty at the end.
     *
     * @throws JobFailure when the file is not UTF-8
     */
    Optional<Raw> next() throws IOException {
        while (has(0) && isLineEnd(at(0))) {
            from++;
        }
        return has(0) ? Optional.of(record()) : Optional.empty();
    }

    private Raw record() throws IOException {
        State state = State.FIELD_START;
        int length = 0;
        int firstLine = -1;
        while (length <= maxCharacters && state != State.MALFORMED && has(length)) {
            char unit = at(length);
            if (isLineEnd(unit) && state != State.QUOTED) {
                break;
            }
            firstLine = firstLine < 0 && isLineEnd(unit) ? length : firstLine;
            if (isLineEnd(unit) && from + length < aheadTo) {
                length = aheadTo - from;
                state = ahead;
            } else {
                length++;
                state = state.next(unit);
            }
        }
        if (state == State.QUOTED || state == State.MALFORMED || length > maxCharacters) {
            return malformed(firstLine, length, state);
        }
        return take(length, Optional.empty());
    }

    private Raw malformed(int firstLine, int length, State state) throws IOException {
        if (from + length > aheadTo) {
            aheadTo = from + length;
            ahead = state;
        }
        String problem = state == State.MALFORMED
                ? "is not valid CSV: more text follows a closing quote"
                : state == State.QUOTED && (firstLine >= 0 || length <= maxCharacters)
                        ? "is not valid CSV: a quote that opens here is not closed within %d characters (softcall.jobs.row-bytes)"
                                .formatted(maxCharacters)
                        : "has more than %d characters, which is the limit (softcall.jobs.row-bytes)"
                                .formatted(maxCharacters);
        Raw raw = take(firstLine < 0 ? length : firstLine, Optional.of(problem));
        while (firstLine < 0 && has(0) && !isLineEnd(at(0))) {
            from++;
        }
        return raw;
    }

    private Raw take(int length, Optional<String> problem) {
        Raw raw = new Raw(new String(window, from, length), problem);
        from += length;
        return raw;
    }

    private static boolean isLineEnd(char unit) {
        return unit == '\n' || unit == '\r';
    }

    private char at(int offset) {
        return window[from + offset];
    }

    /** Returns whether the record has a character at this offset from its beginning, and reads it into the window. */
    private boolean has(int offset) throws IOException {
        while (from + offset >= filled) {
            if (window.length - filled < BLOCK) {
                char[] target = filled - from > window.length / 2 ? new char[2 * window.length] : window;
                System.arraycopy(window, from, target, 0, filled - from);
                window = target;
                filled -= from;
                aheadTo -= from;
                from = 0;
            }
            int read;
            try {
                read = in.read(window, filled, BLOCK);
            } catch (CharacterCodingException e) {
                throw JobFailure.badFile("the file is not UTF-8: save it as \"CSV UTF-8\"");
            }
            if (read < 0) {
                return false;
            }
            filled += read;
        }
        return true;
    }

    @Override
    public void close() throws IOException {
        in.close();
    }
}
