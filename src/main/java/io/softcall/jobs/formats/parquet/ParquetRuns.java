package io.softcall.jobs.formats.parquet;

import io.softcall.jobs.files.JobFailure;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Numbers in Parquet's RLE/bit-packing hybrid encoding: runs of equal numbers, and runs of numbers of a few bits each.
 */
final class ParquetRuns {

    private final ByteBuffer in;
    private final int width;
    private boolean packed;
    private long left;
    private long value;
    private long bits;
    private int bitsLeft;

    ParquetRuns(ByteBuffer in, int width) throws JobFailure {
        if (width < 0 || width > Integer.SIZE) {
            throw ParquetValues.malformed("numbers of %d bits".formatted(width));
        }
        this.in = in.slice().order(ByteOrder.LITTLE_ENDIAN);
        this.width = width;
    }

    long next() throws JobFailure {
        if (width == 0) {
            return 0;
        }
        if (left == 0) {
            begin();
        }
        left--;
        return packed ? unpack() : value;
    }

    private void begin() throws JobFailure {
        long head = CompactProtocol.unsigned(in);
        packed = (head & 1) == 1;
        left = packed ? (head >>> 1) * 8 : head >>> 1;
        if (left <= 0 || head < 0) {
            throw ParquetValues.malformed("a run of %d values".formatted(left));
        }
        value = 0;
        bits = 0;
        bitsLeft = 0;
        for (int i = 0; !packed && i < width; i += 8) {
            value |= (in.get() & 0xffL) << i;
        }
    }

    private long unpack() {
        while (bitsLeft < width) {
            bits |= (in.get() & 0xffL) << bitsLeft;
            bitsLeft += 8;
        }
        long unpacked = bits & ((1L << width) - 1);
        bits >>>= width;
        bitsLeft -= width;
        return unpacked;
    }
}
