package io.softcall.jobs.run;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.softcall.SoftcallException;
import io.softcall.jobs.files.OtherProcess;
import io.softcall.jobs.files.RowId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A full temporary folder, in a process of its own. A full store is a different failure. */
class ResultsTest {

    @TempDir
    Path folder;

    /** The program of that process. */
    static final class Writer {

        public static void main(String[] arguments) {
            try (Results results = new Results(0, false)) {
                for (int i = 0; i < 10_000; i++) {
                    results.error(RowId.NONE, Optional.empty(), "invalid_request", "x".repeat(100));
                }
                results.finish();
                System.out.println("complete");
            } catch (SoftcallException e) {
                System.out.println(e.reason());
            }
        }
    }

    private static String write(String before, Path temporary) throws IOException, InterruptedException {
        return OtherProcess.run(before, temporary, Writer.class);
    }

    @Test
    void noRoomIsNoFaultOfTheFileAndLeavesNothingBehind() throws Exception {
        assertEquals("complete", write("", folder));
        // The write fails in the middle, as on a full disk.
        assertEquals("TEMPORARY_FOLDER_UNAVAILABLE", write("ulimit -f 64;", folder));
        assertEquals("TEMPORARY_FOLDER_UNAVAILABLE", write("", folder.resolve("missing")));
        try (Stream<Path> left = Files.list(folder)) {
            assertEquals(List.of(), left.toList());
        }
    }
}
