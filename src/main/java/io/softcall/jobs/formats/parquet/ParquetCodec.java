package io.softcall.jobs.formats.parquet;

import com.github.luben.zstd.Zstd;
import io.softcall.jobs.files.JobFailure;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.xerial.snappy.Snappy;

/** What the pages of a Parquet file are packed with. */
enum ParquetCodec {
    UNCOMPRESSED(1),
    SNAPPY(22),
    GZIP(1_032),
    ZSTD(1 << 15);

    /** By their numbers in Parquet. */
    private static final List<String> NAMES =
            List.of("UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW");

    /** Bytes that one packed byte can stand for at most. */
    private final int most;

    ParquetCodec(int most) {
        this.most = most;
    }

    /** @throws JobFailure when it is none that is read here */
    static ParquetCodec of(String column, int number) throws JobFailure {
        String name = number >= 0 && number < NAMES.size() ? NAMES.get(number) : "an unknown codec, " + number;
        for (ParquetCodec codec : values()) {
            if (codec.name().equals(name)) {
                return codec;
            }
        }
        throw JobFailure.badFile(
                "column %s is compressed with %s, which is not read here; expected one of %s",
                column, name, List.of(values()));
    }

    /**
     * Unpacks a page.
     *
     * @param size of the page, as its header has it
     * @throws IOException when it has another size, or is damaged
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
