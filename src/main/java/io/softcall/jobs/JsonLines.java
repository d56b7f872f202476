package io.softcall.jobs;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;

/** JSON objects, one a line; blank lines are none. */
final class JsonLines implements Rows {

    private static final int MAX_NESTING = 64;

    private static final JsonMapper JSON = JsonMapper.builder(JsonFactory.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxNestingDepth(MAX_NESTING)
                            .build())
                    .build())
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    private static final byte[] BYTE_ORDER_MARK = {(byte) 0xef, (byte) 0xbb, (byte) 0xbf};

    private final InputStream in;
    private final long end;
    private final int maxBytes;
    private final byte[] buffer = new byte[1 << 16];
    private int used;
    private int filled;
    /** Of the next byte, in the file. */
    private long position;

    private final ByteArrayOutputStream line = new ByteArrayOutputStream();

    /**
     * The lines whose first byte lies in [{@code from}, {@code end}).
     *
     * @param in begins one byte before {@code from}, or at 0: only so can it be seen whether a line begins there
     * @param maxBytes a longer line is an error
     */
    JsonLines(InputStream in, long from, long end, int maxBytes) throws IOException {
        this.in = in;
        this.end = end;
        this.maxBytes = maxBytes;
        this.position = Math.max(0, from - 1);
        if (from > 0) {
            readLine();
        }
    }

    @Override
    public Optional<Row> next() throws IOException {
        while (position < end) {
            boolean first = position == 0;
            long length = readLine();
            if (length < 0) {
                break;
            }
            if (length > maxBytes) {
                return Optional.of(Row.bad(
                        "the row has %d bytes, at most %d are accepted (softcall.jobs.row-bytes)", length, maxBytes));
            }
            byte[] bytes = line.toByteArray();
            int start = first && startsWithMark(bytes) ? BYTE_ORDER_MARK.length : 0;
            if (!isBlank(bytes, start)) {
                return Optional.of(parse(bytes, start));
            }
        }
        return Optional.empty();
    }

    private static Row parse(byte[] bytes, int start) {
        try {
            return Row.of(JSON.readTree(bytes, start, bytes.length - start));
        } catch (JsonProcessingException e) {
            return Row.bad("the row is not valid JSON: %s", e.getOriginalMessage());
        } catch (IOException e) {
            return Row.bad("the row is not valid JSON: %s", e.getMessage());
        }
    }

    /** Reads up to the next line feed into {@link #line}, {@link #maxBytes} of it. Its length without the feed; -1 at the end. */
    private long readLine() throws IOException {
        line.reset();
        long length = 0;
        while (true) {
            if (used == filled) {
                used = 0;
                filled = Math.max(0, in.read(buffer));
                if (filled == 0) {
                    return length == 0 ? -1 : length;
                }
            }
            int feed = used;
            while (feed < filled && buffer[feed] != '\n') {
                feed++;
            }
            line.write(buffer, used, (int) Math.max(0, Math.min(feed - used, maxBytes - length)));
            length += feed - used;
            boolean complete = feed < filled;
            position += feed - used + (complete ? 1 : 0);
            used = complete ? feed + 1 : feed;
            if (complete) {
                return length;
            }
        }
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
