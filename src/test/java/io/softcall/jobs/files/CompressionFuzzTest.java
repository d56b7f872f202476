package io.softcall.jobs.files;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.github.luben.zstd.Zstd;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.zip.GZIPOutputStream;

/** Any content of a compressed file gives rows, within the limits, or is a bad file. */
class CompressionFuzzTest {

    private static final String DECODERS =
            "java.io.IOException|java.io.EOFException|com.github.luben.zstd.ZstdIOException";

    @FuzzTest
    void gzip(byte[] file) {
        FuzzedRows.read("x.jsonl.gz", file, DECODERS);
        FuzzedRows.read("x.csv.gz", file, DECODERS);
    }

    @FuzzTest
    void zstd(byte[] file) {
        FuzzedRows.read("x.jsonl.zst", file, DECODERS);
        FuzzedRows.read("x.csv.zst", file, DECODERS);
    }

    /** Content that is compressed as two concatenated pieces is read as it was. */
    @FuzzTest
    void packed(byte[] content) throws IOException {
        int cut = content.length / 3;
        byte[] first = Arrays.copyOf(content, cut);
        byte[] rest = Arrays.copyOfRange(content, cut, content.length);
        var rows = FuzzedRows.read("x.jsonl", content, DECODERS);
        assertEquals(rows, FuzzedRows.read("x.jsonl.gz", joined(gzipped(first), gzipped(rest)), DECODERS));
        assertEquals(rows, FuzzedRows.read("x.jsonl.zst", joined(Zstd.compress(first), Zstd.compress(rest)), DECODERS));
    }

    private static byte[] gzipped(byte[] bytes) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
            gzip.write(bytes);
        }
        return out.toByteArray();
    }

    private static byte[] joined(byte[] first, byte[] second) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(first);
        out.writeBytes(second);
        return out.toByteArray();
    }
}
