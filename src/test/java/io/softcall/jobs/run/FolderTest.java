package io.softcall.jobs.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.store.folder.FolderBuckets;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** A job's folder in which another program has written. */
class FolderTest {

    @TempDir
    Path path;

    private Folder folder(String name, String content) throws IOException {
        Path file = path.resolve("job").resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, content);
        return new Folder(FolderBuckets.of(path), "job");
    }

    private static void assertDamaged(Executable reading) {
        SoftcallException problem = assertThrows(SoftcallException.class, reading);
        assertEquals(Reason.INTERNAL, problem.reason());
        assertTrue(problem.getMessage().contains("cannot be read"), problem.getMessage());
        assertFalse(problem.getMessage().contains("CUSTOMER"), problem.getMessage());
    }

    @Test
    void whatIsDamagedIsNoFaultOfTheEvent() throws IOException {
        String input = "\"input\": {\"bucket\": \"b\", \"key\": \"k\", \"etag\": \"e\", \"bytes\": 1}";
        String plan = "{" + input
                + ", \"format\": \"CSV\", \"compression\": \"NONE\", \"rowBytes\": 1, \"partRows\": 1, \"started\": \"2026-01-01T00:00:00Z\"%s}";
        assertEquals(
                "k",
                folder("_PLAN", plan.formatted(""))
                        .read("_PLAN", Plan.class)
                        .orElseThrow()
                        .input()
                        .key());
        for (String damaged : List.of(
                "",
                "null",
                "CUSTOMERTEXT",
                "{\"CUSTOMER\": 1",
                "{}",
                "[]",
                "{\"input\": \"CUSTOMERTEXT\"}",
                plan.formatted(", \"parts\": [{\"from\": 5, \"to\": 1}]"),
                plan.formatted(", \"maxRows\": -1"))) {
            Folder folder = folder("_PLAN", damaged);
            assertDamaged(() -> folder.read("_PLAN", Plan.class));
        }
        for (String damaged : List.of("{}", "{\"job\": \"j\"}", "{\"job\": \"j\", " + input + ", \"output\": \"o\"}")) {
            Folder folder = folder("_SUCCESS", damaged);
            assertDamaged(() -> folder.read("_SUCCESS", Manifest.class));
        }
        Folder fixed = folder("_VERSION", "{}");
        assertDamaged(() -> fixed.read("_VERSION", Folder.Fixed.class));
    }
}
