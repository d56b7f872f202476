package io.softcall.jobs.formats.parquet;

import io.softcall.jobs.files.JobFailure;
import java.nio.ByteBuffer;

/** Numbers in Parquet's encoding DELTA_BINARY_PACKED, which stores differences between consecutive numbers. */
final class ParquetDifferences {

    private static final int MAX_MINIBLOCKS = 1 << 12;

    private final ByteBuffer in;
    private final int miniblocks;
    private final long perMiniblock;
    private final long total;
    private long read;
    private long value;
    private long smallest;
    private final byte[] widths;
    private int miniblock;
    private long leftInMiniblock;
    private ByteBuffer packed = ByteBuffer.allocate(0);
    private int bit;

    /**
     * @param in is positioned after the numbers once all of them are read
     * @param most maximum number of numbers
     */
    ParquetDifferences(ByteBuffer in, long most) throws JobFailure {
        this.in = in;
        long block = CompactProtocol.unsigned(in);
        long count = CompactProtocol.unsigned(in);
        this.total = CompactProtocol.unsigned(in);
        this.value = zigzag(CompactProtocol.unsigned(in));
        if (count < 1
                || count > MAX_MINIBLOCKS
                || block < 1
                || block % count != 0
                || total < 0
                || total > most
                || block > Integer.MAX_VALUE
                || block / count % 8 != 0) {
            throw ParquetValues.malformed("blocks of %d values in %d pieces".formatted(block, count));
        }
        this.miniblocks = (int) count;
        this.perMiniblock = block / count;
        this.widths = new byte[miniblocks];
        this.miniblock = miniblocks;
    }

    /** Skips all remaining numbers. */
    void skip() throws JobFailure {
        while (read < total) {
            next();
        }
    }

    long next() throws JobFailure {
        if (read == total) {
            throw ParquetValues.malformed("a page with too few values");
        }
        if (read++ == 0) {
            return value;
        }
        if (leftInMiniblock == 0) {
            begin();
        }
        leftInMiniblock--;
        value += smallest + unpack(widths[miniblock] & 0xff);
        return value;
    }

    private void begin() throws JobFailure {
        if (++miniblock >= miniblocks) {
            smallest = zigzag(CompactProtocol.unsigned(in));
            in.get(widths);
            miniblock = 0;
        }
        int width = widths[miniblock] & 0xff;
        if (width > Long.SIZE) {
            throw ParquetValues.malformed("differences of %d bits".formatted(width));
        }
        long bytes = perMiniblock * width / 8;
        if (bytes > in.remaining()) {
            throw ParquetValues.malformed("a page with too few values");
        }
        packed = ParquetValues.take(in, (int) bytes);
        bit = 0;
        leftInMiniblock = perMiniblock;
    }

    private long unpack(int width) {
        long unpacked = 0;
        for (int have = 0; have < width; ) {
            int bits = Math.min(8 - bit % 8, width - have);
            long piece = packed.get(bit / 8) >>> bit % 8 & (1 << bits) - 1;
            unpacked |= piece << have;
            have += bits;
            bit += bits;
        }
        return unpacked;
    }

    private static long zigzag(long value) {
        return value >>> 1 ^ -(value & 1);
    }
}
