package io.softcall.task.artifact;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.Tiny;
import io.softcall.task.RefusedException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Untrusted files: a file of another format is named, and no file costs more than its size. */
class SafetensorsTest {

    @Test
    void aPointerOfGitLfsIsNamed() throws IOException {
        byte[] pointer = Files.readAllBytes(Path.of("src/test/resources/cases/gitlfs/adapter_model.safetensors"));
        assertEquals(
                "it is a Git LFS pointer, not the file: run `git lfs pull` before `softcall push`", refusal(pointer));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
            <!DOCTYPE html><html><body>Sign in</body></html>                | it is an HTML page
            <html>                                                          | it is an HTML page
            <?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>   | it is an XML document
            {"error": {"message": "not found"}}                             | it is a JSON document
            {}                                                              | it is a JSON document
            []                                                              | it is a JSON document
            GGUF and the rest of it                                         | it is a GGUF file
            hello                                                           | 5 bytes are too few
            hello, world: I am a text                                       | the safetensors header claims
            """)
    void textsAreNamed(String content, String what) {
        String refusal = refusal(content.getBytes(StandardCharsets.UTF_8));
        assertTrue(refusal.startsWith(what), refusal);
        // The refusal repeats nothing of the content.
        assertTrue(!refusal.contains("AccessDenied") && !refusal.contains("world"), refusal);
    }

    @Test
    void archivesAndPicklesAreNamed() throws IOException {
        byte[] artifact = Tiny.artifact("sentiment");
        assertTrue(refusal(packed(GZIPOutputStream::new, artifact)).startsWith("it is a gzip file"));
        // The file is so large that its first bytes could be the length of a header.
        byte[] random = new byte[1_000_000];
        new Random(1).nextBytes(random);
        assertTrue(refusal(packed(GZIPOutputStream::new, random)).startsWith("it is a gzip file"));
        byte[] zip = packed(
                out -> {
                    ZipOutputStream archive = new ZipOutputStream(out);
                    archive.putNextEntry(new ZipEntry("archive/data.pkl"));
                    return archive;
                },
                artifact);
        assertTrue(refusal(zip).startsWith("it is a zip archive"));
        assertTrue(refusal(new byte[] {(byte) 0x80, 2, 0x7d, 0x71, 0, 0x2e, 0, 0, 0})
                .startsWith("it is a pickle"));
        assertEquals("0 bytes are too few for a safetensors file", refusal(new byte[0]));
    }

    /** 1, -2 and 0.5 in each type; the tensors are listed in another order than they are stored. */
    @Test
    void numbersOfEveryTypeThatIsServed() throws RefusedException {
        String header = "{\"brain\": {\"dtype\": \"BF16\", \"shape\": [3], \"data_offsets\": [18, 24]},"
                + " \"single\": {\"dtype\": \"F32\", \"shape\": [3, 1], \"data_offsets\": [0, 12]},"
                + " \"half\": {\"dtype\": \"F16\", \"shape\": [1, 3], \"data_offsets\": [12, 18]}}";
        ByteBuffer data = ByteBuffer.allocate(24).order(ByteOrder.LITTLE_ENDIAN);
        data.putFloat(1).putFloat(-2).putFloat(.5f);
        data.putShort((short) 0x3c00).putShort((short) 0xc000).putShort((short) 0x3800);
        data.putShort((short) 0x3f80).putShort((short) 0xc000).putShort((short) 0x3f00);
        Safetensors file = Safetensors.parse(file(header, data.array()));
        for (String name : List.of("single", "half", "brain")) {
            assertArrayEquals(
                    new float[] {1, -2, .5f},
                    file.tensor(name).orElseThrow().values().floats(),
                    name);
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            [2] | 0, 8  | 8  |
            [2] | 0, 8  | 9  | 1 bytes lie behind the last tensor
            [2] | 0, 8  | 7  | tensor a ends at byte 8 of the data, which has 7: the file is truncated
            [2] | 1, 9  | 9  | tensor a begins at byte 1 of the data, expected 0
            [2] | 0, 9  | 9  | tensor a of shape [2] and type F32 has 9 bytes
            [2] | -8, 0 | 8  | tensor a has a malformed entry in the safetensors header
            [2] | 0     | 8  | tensor a has a malformed entry in the safetensors header
            [-2]| 0, 8  | 8  | tensor a has the dimension -2
            [0] | 0, 0  | 0  |
            [2147483648, 4] | 0, 8 | 8 | tensor a of shape [2147483648,4] is too large
            [9223372036854775807, 9223372036854775807] | 0, 8 | 8 | is too large
            """)
    void aTensorFillsItsPlace(String shape, String offsets, int bytes, String refusal) throws RefusedException {
        String header =
                "{\"a\": {\"dtype\": \"F32\", \"shape\": %s, \"data_offsets\": [%s]}}".formatted(shape, offsets);
        byte[] file = file(header, new byte[bytes]);
        if (refusal == null) {
            assertEquals(
                    bytes,
                    Safetensors.parse(file).tensor("a").orElseThrow().data().remaining());
        } else {
            assertTrue(refusal(file).contains(refusal), () -> refusal(file));
        }
    }

    @Test
    void theHeaderEndsWithTheFileOrBeforeIt() throws RefusedException {
        byte[] whole = file("{}", new byte[0]);
        assertEquals(Map.of(), Safetensors.parse(whole).tensors());
        byte[] cut = Arrays.copyOf(whole, whole.length - 1);
        assertEquals("the safetensors header claims 2 bytes, the file has 1 after the length", refusal(cut));
        int most = 1 << 20;
        String spaces = "{" + " ".repeat(most - 2) + "}";
        assertEquals(Map.of(), Safetensors.parse(file(spaces, new byte[0])).tensors());
        assertEquals(
                "the safetensors header has 1048577 bytes, at most 1048576 are accepted",
                refusal(file(" " + spaces, new byte[0])));
    }

    private static byte[] file(String header, byte[] data) {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(Long.BYTES + json.length + data.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(json.length)
                .put(json)
                .put(data)
                .array();
    }

    private interface Packing {
        OutputStream over(OutputStream out) throws IOException;
    }

    private static byte[] packed(Packing packing, byte[] content) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (OutputStream out = packing.over(bytes)) {
            out.write(content);
        }
        return bytes.toByteArray();
    }

    private static String refusal(byte[] content) {
        return assertThrows(RefusedException.class, () -> Safetensors.parse(content))
                .getMessage();
    }
}
