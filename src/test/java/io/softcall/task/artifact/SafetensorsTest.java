package io.softcall.task.artifact;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.Tiny;
import io.softcall.task.RefusedException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
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
