package io.softcall.jobs.formats.parquet;

import com.github.luben.zstd.Zstd;
import io.softcall.jobs.files.JobFailure;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.xerial.snappy.Snappy;

/** The compression of the pages in a Parquet file. */
enum ParquetCodec {
    UNCOMPRESSED(1),
    SNAPPY(22),
    GZIP(1_032),
    ZSTD(1 << 15);

    /** Names by Parquet's numbers. */
    private static final List<String> NAMES =
            List.of("UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW");

    /** Maximum number of uncompressed bytes for each compressed byte. */
    private final int most;

    ParquetCodec(int most) {
        this.most = most;
    }

    /** @throws JobFailure when the codec is not supported */
    static ParquetCodec of(String column, int number) throws JobFailure {
        String name = number >= 0 && number < NAMES.size() ? NAMES.get(number) : "an unknown codec, " + number;
        for (ParquetCodec codec : values()) {
            if (codec.name().equals(name)) {
                return codec;
            }
        }
        throw JobFailure.badFile(
                "column %s is compressed with %s, which is not supported; expected one of %s",
                column, name, List.of(values()));
    }

    /**
     * Decompresses a page.
     *
     * @param size the page's uncompressed size in bytes, from its header
     * @throws IOException when the page has another size, or is damaged
     */
    byte[] unpack(ByteBuffer packed, int size) throws IOException {
        byte[] in = packed.array();
        int from = packed.arrayOffset() + packed.position();
        int length = packed.remaining();
        if (size > (long) most * length) {
            throw JobFailure.badFile(
                    "the file is not valid Parquet: a page of %d bytes claims that it unpacks to %d bytes",
                    length, size);
        }
        byte[] out = new byte[size];
        if (size == 0) {
            return out;
        }
        long unpacked =
                switch (this) {
                    case UNCOMPRESSED -> {
                        System.arraycopy(in, from, out, 0, Math.min(length, size));
                        yield length;
                    }
                    case SNAPPY ->
                        Snappy.uncompressedLength(in, from, length) == size
                                ? Snappy.uncompress(in, from, length, out, 0)
                                : -1;
                    case GZIP -> gunzip(new GZIPInputStream(new ByteArrayInputStream(in, from, length)), out);
                    case ZSTD -> Zstd.decompressByteArray(out, 0, size, in, from, length);
                };
        if (unpacked != size) {
            throw JobFailure.badFile("the file is not valid Parquet: a page does not unpack to its %d bytes", size);
        }
        return out;
    }

    private static long gunzip(GZIPInputStream in, byte[] out) throws IOException {
        try (in) {
            int read = in.readNBytes(out, 0, out.length);
            return in.read() < 0 ? read : -1;
        }
    }
}
