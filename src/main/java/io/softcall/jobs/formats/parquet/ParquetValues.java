package io.softcall.jobs.formats.parquet;

import io.softcall.jobs.files.JobFailure;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Values of a page, one by one: however many a page claims and however long a run of equal ones is, nothing is built but the one
 * that is asked for.
 */
interface ParquetValues {

    /**
     * The next value, little-endian where it is a number, until the one after it is asked for.
     *
     * @throws JobFailure when there is none
     * @throws BufferUnderflowException likewise
     */
    ByteBuffer next() throws JobFailure;

    /** @param width bytes of each value; 0: each has its length before it */
    static ParquetValues plain(ByteBuffer data, int width) {
        ByteBuffer in = data.slice().order(ByteOrder.LITTLE_ENDIAN);
        return () -> take(in, width > 0 ? width : in.getInt());
    }

    /** The next bytes, which are passed over. */
    static ByteBuffer take(ByteBuffer in, int length) throws JobFailure {
        if (length < 0 || length > in.remaining()) {
            throw malformed("a value of %d bytes where %d are left".formatted(length, in.remaining()));
        }
        ByteBuffer value = in.slice(in.position(), length).order(ByteOrder.LITTLE_ENDIAN);
        in.position(in.position() + length);
        return value;
    }

    /** Of each value the first byte, then of each the second, and so on. */
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

    /** The values of a dictionary's page. */
    final class Dictionary {

        private final ByteBuffer data;
        /** Of a length before each value. */
        private final int lengthBytes;

        private final int[] begins;

        /** @param count as the page has it */
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

        /** Values that are places in the dictionary, the first byte telling the bits of each. */
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

    /** @param most values that there may be */
    static ParquetValues differences(ByteBuffer data, int width, long most) throws JobFailure {
        ParquetDifferences numbers = new ParquetDifferences(data.slice(), most);
        ByteBuffer value = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        return () -> value.clear().putLong(0, numbers.next()).limit(width);
    }

    /** Texts behind the lengths of all of them. */
    static ParquetValues lengthsFirst(ByteBuffer data, long most) throws JobFailure {
        ByteBuffer in = data.slice();
        ParquetDifferences lengths = new ParquetDifferences(in.duplicate(), most);
        new ParquetDifferences(in, most).skip();
        return () -> take(in, within(lengths.next()));
    }

    /** Texts, of each of which the first bytes are those of the one before. */
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
            // No longer than all that was read of the page.
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
