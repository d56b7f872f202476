package io.softcall.jobs.formats;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.luben.zstd.Zstd;
import io.softcall.SoftcallException;
import io.softcall.jobs.files.JobFailure;
import io.softcall.jobs.files.OtherProcess;
import io.softcall.jobs.files.StoredFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A machine that cannot load the native libraries for compressed files. That is not a fault of the files. */
class MissingLibraryTest {

    @TempDir
    Path folder;

    /** The program that reads a file in the other process. */
    static final class Reader {

        public static void main(String[] arguments) throws Exception {
            Path file = Path.of(arguments[0]);
            StoredFile stored =
                    StoredFile.of(file.getParent(), file.getFileName().toString(), Files.readAllBytes(file));
            for (int i = 0; i < 2; i++) {
                try {
                    System.out.println(stored.rows().size());
                } catch (SoftcallException e) {
                    System.out.println(e.reason() + ": " + e.getMessage());
                } catch (JobFailure e) {
                    System.out.println(e.code() + ": " + e.getMessage());
                }
            }
        }
    }

    @Test
    void readsAsAFaultOfTheServer() throws Exception {
        Path jobs = Path.of("src/test/resources/jobs");
        Files.copy(jobs.resolve("snappy.parquet"), folder.resolve("snappy.parquet"));
        Files.copy(jobs.resolve("zstd.parquet"), folder.resolve("zstd.parquet"));
        byte[] rows = "{\"text\": \"a\"}\n".repeat(50).getBytes(StandardCharsets.UTF_8);
        Files.write(folder.resolve("x.jsonl.zst"), Zstd.compress(rows));
        for (String name : new String[] {"snappy.parquet", "zstd.parquet", "x.jsonl.zst"}) {
            String file = folder.resolve(name).toString();
            assertEquals("50\n50", OtherProcess.run("", folder, Reader.class, file));
            // The temporary folder lies below a file, so it does not exist and cannot be created.
            String missing = OtherProcess.run("", Path.of(file, "temporary"), Reader.class, file);
            assertEquals(2, missing.lines().count(), missing);
            assertTrue(
                    missing.lines().allMatch(line -> line.startsWith("INTERNAL: ") && line.contains("java.io.tmpdir")),
                    missing);
        }
    }
}
