package io.softcall.jobs.formats.parquet;

import io.softcall.jobs.files.JobFailure;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * The values of a page, decoded one by one. Only the requested value is built, however many values a page claims, and
 * however long a run of equal values is.
 */
interface ParquetValues {

    /**
     * Returns the next value; numbers are little-endian. The buffer is valid until the next call.
     *
     * @throws JobFailure when there are no more values
     * @throws BufferUnderflowException when the page's bytes end
     */
    ByteBuffer next() throws JobFailure;

    /** @param width bytes of each value; 0 when each value is preceded by its length */
    static ParquetValues plain(ByteBuffer data, int width) {
        ByteBuffer in = data.slice().order(ByteOrder.LITTLE_ENDIAN);
        return () -> take(in, width > 0 ? width : in.getInt());
    }

    /** Returns the next bytes, and advances the buffer past them. */
    static ByteBuffer take(ByteBuffer in, int length) throws JobFailure {
        if (length < 0 || length > in.remaining()) {
            throw malformed("a value of %d bytes where %d are left".formatted(length, in.remaining()));
        }
        ByteBuffer value = in.slice(in.position(), length).order(ByteOrder.LITTLE_ENDIAN);
        in.position(in.position() + length);
        return value;
    }

    /** Decodes BYTE_STREAM_SPLIT: the first byte of every value, then the second byte of every value, and so on. */
    static ParquetValues split(ByteBuffer data, int width) {
        int values = data.remaining() / width;
        ByteBuffer value = ByteBuffer.allocate(width).order(ByteOrder.LITTLE_ENDIAN);
        int[] next = new int[1];
        return () -> {
            if (next[0] == values) {
                throw malformed("a page with too few values");
            }
            for (int i = 0; i < width; i++) {
                value.put(i, data.get(data.position() + i * values + next[0]));
            }
            next[0]++;
            return value.rewind();
        };
    }

    /** The values of a dictionary page. */
    final class Dictionary {

        private final ByteBuffer data;
        /** Bytes of the length before each value; 0 when all values have the same width. */
        private final int lengthBytes;

        private final int[] begins;

        /** @param count the number of values that the page claims */
        Dictionary(ByteBuffer data, int width, long count) throws JobFailure {
            int smallest = width > 0 ? width : Integer.BYTES;
            if (count > data.remaining() / smallest) {
                throw malformed("a dictionary of %d values in %d bytes".formatted(count, data.remaining()));
            }
            this.data = data.slice().order(ByteOrder.LITTLE_ENDIAN);
            this.lengthBytes = width > 0 ? 0 : Integer.BYTES;
            this.begins = new int[(int) count + 1];
            ParquetValues values = plain(data, width);
            for (int i = 0; i < count; i++) {
                begins[i + 1] = begins[i] + lengthBytes + values.next().remaining();
            }
        }

        /** Decodes indices into the dictionary; their first byte is the number of bits of each. */
        ParquetValues at(ByteBuffer places) throws JobFailure {
            ParquetRuns runs = new ParquetRuns(places, places.get());
            return () -> {
                long place = runs.next();
                if (place >= begins.length - 1) {
                    throw malformed("a value at place %d of %d".formatted(place, begins.length - 1));
                }
                int begin = begins[(int) place] + lengthBytes;
                return data.slice(begin, begins[(int) place + 1] - begin).order(ByteOrder.LITTLE_ENDIAN);
            };
        }
    }

    /** @param most maximum number of values */
    static ParquetValues differences(ByteBuffer data, int width, long most) throws JobFailure {
        ParquetDifferences numbers = new ParquetDifferences(data.slice(), most);
        ByteBuffer value = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        return () -> value.clear().putLong(0, numbers.next()).limit(width);
    }

    /** Decodes DELTA_LENGTH_BYTE_ARRAY: the lengths of all texts, then the texts. */
    static ParquetValues lengthsFirst(ByteBuffer data, long most) throws JobFailure {
        ByteBuffer in = data.slice();
        ParquetDifferences lengths = new ParquetDifferences(in.duplicate(), most);
        new ParquetDifferences(in, most).skip();
        return () -> take(in, within(lengths.next()));
    }

    /** Decodes DELTA_BYTE_ARRAY: each text shares a prefix with the text before it. */
    static ParquetValues prefixesFirst(ByteBuffer data, long most) throws JobFailure {
        ByteBuffer in = data.slice();
        ParquetDifferences prefixes = new ParquetDifferences(in.duplicate(), most);
        new ParquetDifferences(in, most).skip();
        ParquetValues rests = lengthsFirst(in, most);
        byte[][] text = {new byte[0]};
        int[] length = {0};
        return () -> {
            int prefix = within(prefixes.next());
            ByteBuffer rest = rests.next();
            if (prefix < 0 || prefix > length[0]) {
                throw malformed("%d bytes of a value that has %d".formatted(prefix, length[0]));
            }
            // The text cannot be longer than all bytes of the page that were read.
            length[0] = prefix + rest.remaining();
            if (length[0] > text[0].length) {
                text[0] = Arrays.copyOf(text[0], Math.max(length[0], 2 * text[0].length));
            }
            rest.get(text[0], prefix, rest.remaining());
            return ByteBuffer.wrap(text[0], 0, length[0]).slice();
        };
    }

    private static int within(long length) {
        return Math.clamp(length, -1, Integer.MAX_VALUE);
    }

    static JobFailure malformed(String problem) {
        return JobFailure.badFile("the file is not valid Parquet: it has %s", problem);
    }
}
