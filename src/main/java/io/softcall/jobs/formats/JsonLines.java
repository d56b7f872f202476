package io.softcall.jobs.formats;

import io.softcall.StrictJson;
import io.softcall.jobs.files.Row;
import io.softcall.jobs.files.Rows;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Optional;

/** The rows of a file with one JSON object in each line; blank lines are ignored. */
final class JsonLines implements Rows {

    private static final int MAX_NESTING = 64;
    private static final long MAX_TOKENS = 1_000_000;
    private static final StrictJson JSON = new StrictJson(MAX_NESTING, MAX_TOKENS);

    private static final byte[] BYTE_ORDER_MARK = {(byte) 0xef, (byte) 0xbb, (byte) 0xbf};

    private final InputStream in;
    private final long end;
    private final int maxBytes;
    private final byte[] buffer = new byte[1 << 16];
    private int used;
    private int filled;
    /** Position of the next byte in the file. */
    private long position;

    private final ByteArrayOutputStream line = new ByteArrayOutputStream();

    /**
     * Reads the lines whose first byte is in [{@code from}, {@code end}).
     *
     * @param in begins one byte before {@code from}, or at 0: that byte shows whether a line begins at {@code from}
     * @param maxBytes limit of a line; a longer line is an error
     */
    JsonLines(InputStream in, long from, long end, int maxBytes) throws IOException {
        this.in = in;
        this.end = end;
        this.maxBytes = maxBytes;
        this.position = Math.max(0, from - 1);
        if (from > 0) {
            skipLine();
        }
    }

    @Override
    public Optional<Row> next() throws IOException {
        while (position < end) {
            boolean first = position == 0;
            if (!readLine()) {
                break;
            }
            if (line.size() > maxBytes) {
                skipLine();
                return Optional.of(Row.bad(
                        "the row has more than %d bytes, which is the limit (softcall.jobs.row-bytes)", maxBytes));
            }
            byte[] bytes = line.toByteArray();
            int start = first && startsWithMark(bytes) ? BYTE_ORDER_MARK.length : 0;
            if (!isBlank(bytes, start)) {
                return Optional.of(parse(ByteBuffer.wrap(bytes, start, bytes.length - start)));
            }
        }
        return Optional.empty();
    }

    private static Row parse(ByteBuffer bytes) {
        try {
            return JSON.read(bytes, Row::of);
        } catch (StrictJson.MalformedException e) {
            return Row.bad("the row %s", e.getMessage());
        }
    }

    /**
     * Reads into {@link #line} up to the next line feed, which is dropped, or one byte more than a line may have.
     *
     * @return false at the end of the file
     */
    private boolean readLine() throws IOException {
        line.reset();
        while (fill()) {
            int feed = feed((int) Math.min(filled, used + (long) maxBytes + 1 - line.size()));
            line.write(buffer, used, feed - used);
            advance(feed);
            if (line.size() > maxBytes) {
                return true;
            }
            if (used < filled && buffer[used] == '\n') {
                advance(used + 1);
                return true;
            }
        }
        return line.size() > 0;
    }

    /** Skips the rest of a line, but nothing after {@code end}: no row of this part begins there. */
    private void skipLine() throws IOException {
        while (position < end && fill()) {
            int feed = feed((int) Math.min(filled, used + (end - position)));
            boolean complete = feed < filled && buffer[feed] == '\n';
            advance(complete ? feed + 1 : feed);
            if (complete) {
                return;
            }
        }
    }

    /** Returns the index of the next line feed in the buffer, or {@code limit}. */
    private int feed(int limit) {
        int feed = used;
        while (feed < limit && buffer[feed] != '\n') {
            feed++;
        }
        return feed;
    }

    private void advance(int to) {
        position += to - used;
        used = to;
    }

    /** @return false at the end of the file */
    private boolean fill() throws IOException {
        if (used == filled) {
            used = 0;
            filled = Math.max(0, in.read(buffer));
        }
        return used < filled;
    }

    private static boolean startsWithMark(byte[] bytes) {
        return bytes.length >= BYTE_ORDER_MARK.length
                && bytes[0] == BYTE_ORDER_MARK[0]
                && bytes[1] == BYTE_ORDER_MARK[1]
                && bytes[2] == BYTE_ORDER_MARK[2];
    }

    private static boolean isBlank(byte[] bytes, int start) {
        for (int i = start; i < bytes.length; i++) {
            if (bytes[i] != ' ' && bytes[i] != '\t' && bytes[i] != '\r') {
                return false;
            }
        }
        return true;
    }

    @Override
    public void close() throws IOException {
        in.close();
    }
}
