package io.softcall.store.folder;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.softcall.FuzzTexts;
import io.softcall.Reasons;
import io.softcall.SoftcallException;
import io.softcall.store.Bucket;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

/** For any key, a folder returns the file of that name, or nothing, or refuses the key. */
class FolderBucketFuzzTest {

    private static final String HELD = "in/a b.csv";

    @TempDir
    static Path folder;

    @BeforeAll
    static void fill() throws IOException {
        Files.createDirectories(folder.resolve("in"));
        Files.writeString(folder.resolve(HELD), "text\n");
    }

    @FuzzTest
    void key(byte[] text) {
        String key = FuzzTexts.of(text).getFirst();
        Bucket bucket = new FolderBucket(folder);
        try {
            Optional<Bucket.Stat> stat = bucket.stat(key);
            assertTrue(stat.isEmpty() || Path.of(key).normalize().equals(Path.of(HELD)), key);
            assertEquals(
                    stat.isPresent(),
                    bucket.read(key, stat.map(Bucket.Stat::version).orElse("x"), 0, 5)
                            .isPresent());
            List<String> listed = bucket.list(key, 10);
            assertTrue(listed.stream().allMatch(found -> found.startsWith(key)));
        } catch (SoftcallException e) {
            Reasons.ofTheSender(e);
        }
    }
}
