package io.softcall.jobs.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Compressed files are read completely, but only within the limits. */
class CompressionTest {

    private static final byte[] ROW = "{\"text\": \"a\"}\n".getBytes(StandardCharsets.UTF_8);

    @TempDir
    Path folder;

    private StoredFile file(String name, byte[] content) throws IOException {
        return StoredFile.of(folder, name, content);
    }

    private static byte[] gzip(byte[] bytes) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (OutputStream gzip = new GZIPOutputStream(out)) {
            gzip.write(bytes);
        }
        return out.toByteArray();
    }

    private static byte[] joined(byte[]... pieces) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        Arrays.stream(pieces).forEach(out::writeBytes);
        return out.toByteArray();
    }

    /** Returns a stream of exactly {@code bytes} bytes, whose header has a file name as padding. */
    private static byte[] gzipOf(byte[] content, int bytes) throws IOException {
        byte[] plain = gzip(content);
        byte[] header = Arrays.copyOf(plain, 10);
        header[3] = 8;
        byte[] name = new byte[bytes - plain.length];
        Arrays.fill(name, 0, name.length - 1, (byte) 'x');
        return joined(header, name, Arrays.copyOfRange(plain, 10, plain.length));
    }

    /** Java's own reader takes the end of a block for the end of the file. */
    @Test
    void streamsBehindOneAnotherAreOneFileWhereverABlockEnds() throws IOException {
        StoredFile gzip = file("x.jsonl.gz", joined(gzip(ROW), gzip(ROW), gzip(new byte[0]), gzip(ROW)));
        assertEquals(3, gzip.rows().size());
        StoredFile zstd = file("x.jsonl.zst", joined(Zstd.compress(ROW), Zstd.compress(ROW)));
        assertEquals(2, zstd.rows().size());
        StoredFile aligned = file("y.jsonl.gz", joined(gzipOf(ROW, ObjectStream.BLOCK_BYTES), gzip(joined(ROW, ROW))));
        assertEquals(3, aligned.rows().size());
    }

    @Test
    void whatFollowsAStreamAndIsNoneIsABadFile() throws IOException {
        for (byte[] content : List.of(
                joined(gzip(ROW), "and garbage".getBytes(StandardCharsets.UTF_8)),
                joined(gzip(ROW), Arrays.copyOf(gzip(ROW), 20)),
                Arrays.copyOf(gzip(ROW), 25))) {
            JobFailure failure = assertThrows(JobFailure.class, file("x.jsonl.gz", content)::rows);
            assertEquals(JobFailure.Code.BAD_FILE, failure.code());
        }
        byte[] cut = Zstd.compress(ROW);
        StoredFile zstd = file("x.jsonl.zst", Arrays.copyOf(cut, cut.length - 2));
        assertEquals(
                JobFailure.Code.BAD_FILE,
                assertThrows(JobFailure.class, zstd::rows).code());
    }

    @Test
    void rowsAndBytesOfAFileAreBounded() throws IOException {
        byte[] tiny = gzip("0\n".repeat(2_000_000).getBytes(StandardCharsets.UTF_8));
        assertTrue(tiny.length < 10_000);
        assertEquals(
                "the file has more than 10000 rows (softcall.jobs.max-rows)",
                assertThrows(JobFailure.class, file("x.jsonl.gz", tiny)::rows).getMessage());
        byte[] blank = gzip("\n".repeat(20_000_000).getBytes(StandardCharsets.UTF_8));
        String bytes = "the file has more than 16777216 bytes, unpacked (softcall.jobs.max-bytes)";
        assertEquals(
                bytes,
                assertThrows(JobFailure.class, file("x.jsonl.gz", blank)::rows).getMessage());
        assertEquals(
                bytes,
                assertThrows(
                                JobFailure.class,
                                file(
                                                "x.csv.gz",
                                                gzip(joined(
                                                        "text\n".getBytes(StandardCharsets.UTF_8),
                                                        new byte[20_000_000])))::rows)
                        .getMessage());
        assertEquals(
                bytes,
                assertThrows(JobFailure.class, file("x.jsonl", new byte[20_000_000])::rows)
                        .getMessage());
    }

    @Test
    void aWindowOfZstdIsBounded() throws IOException {
        byte[] rows = new byte[40 << 20];
        Arrays.fill(rows, (byte) '\n');
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (ZstdOutputStream zstd = new ZstdOutputStream(out, 3)) {
            zstd.setLong(27);
            zstd.write(rows);
        }
        JobFailure failure = assertThrows(JobFailure.class, file("x.jsonl.zst", out.toByteArray())::rows);
        assertTrue(failure.getMessage().contains("memory"), failure.getMessage());
    }
}
