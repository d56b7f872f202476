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
 * The records of a CSV file as they are written: lines, of which one that ends within quotes goes on in the next. A record that is
 * no CSV, or is too long, costs the line in which it begins, and reading goes on with the next: a stray quote does not take the rows
 * behind it along.
 */
final class CsvRecords implements Closeable {

    private static final char BYTE_ORDER_MARK = '\ufeff';
    private static final int BLOCK = 1 << 14;

    private final Reader in;
    private final int maxCharacters;
    private char[] window = new char[2 * BLOCK];
    /** Where the next record begins in the window. */
    private int from;

    private int filled;

    /**
     * How far somebody has read who stood within quotes at the end of each line until then, and where that ended. Whoever begins in
     * between, and stands within quotes at the end of a line, comes to the same: so quotes that are not closed cost one pass together.
     */
    private int aheadTo;

    private State ahead = State.QUOTED;

    /** @param maxCharacters of a record */
    CsvRecords(InputStream in, int maxCharacters) throws IOException {
        // Given a decoder, and not a charset, it reports what is malformed.
        this.in = new InputStreamReader(in, StandardCharsets.UTF_8.newDecoder());
        this.maxCharacters = maxCharacters;
        if (has(0) && at(0) == BYTE_ORDER_MARK) {
            from++;
        }
    }

    /**
     * A record as it is written, without its end; or what is wrong with the line that should have begun one.
     *
     * @param problem continues "the row"
     */
    record Raw(String text, Optional<String> problem) {}

    /** Where a reader of CSV stands behind a character. */
    private enum State {
        FIELD_START,
        DATA,
        QUOTED,
        /** Behind a quote within a quoted field: its end, or the first half of an escaped quote. */
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
     * The next record that is not blank; empty at the end.
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
                ? "is not valid CSV: more follows behind a closing quote"
                : state == State.QUOTED && (firstLine >= 0 || length <= maxCharacters)
                        ? "is not valid CSV: a quote that opens here is not closed, nor within %d characters (softcall.jobs.row-bytes)"
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

    /** Whether there is such a character, counted from the record's begin, which is then in the window. */
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
