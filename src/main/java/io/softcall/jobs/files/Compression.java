package io.softcall.jobs.files;

import com.github.luben.zstd.ZstdInputStream;
import java.io.IOException;
import java.io.InputStream;
import org.apache.commons.compress.compressors.gzip.GzipCompressorInputStream;

/** The compression of a file, by the suffix of its name. */
public enum Compression {
    NONE(""),
    GZIP(".gz"),
    ZSTD(".zst");

    /** Limit of zstd's window, which is held outside the heap: 32 MB, enough for zstd's levels up to 20. */
    private static final int MAX_ZSTD_WINDOW_LOG = 25;

    private final String suffix;

    Compression(String suffix) {
        this.suffix = suffix;
    }

    public static Compression of(String key) {
        return key.endsWith(GZIP.suffix) ? GZIP : key.endsWith(ZSTD.suffix) ? ZSTD : NONE;
    }

    public String strip(String key) {
        return key.substring(0, key.length() - suffix.length());
    }

    /** @param in one or more concatenated streams, and nothing else */
    public InputStream open(InputStream in) throws IOException {
        return switch (this) {
            case NONE -> in;
            // Java's own class treats data that is not another stream as the end.
            case GZIP ->
                GzipCompressorInputStream.builder()
                        .setInputStream(in)
                        .setDecompressConcatenated(true)
                        .get();
            case ZSTD -> new ZstdInputStream(in).setLongMax(MAX_ZSTD_WINDOW_LOG);
        };
    }
}
