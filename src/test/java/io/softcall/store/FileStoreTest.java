package io.softcall.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.store.Store.Found;
import io.softcall.store.Store.Missing;
import io.softcall.store.Store.TooLarge;
import io.softcall.store.Store.Unchanged;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** When a file is a new version, on a real file system. All contents are of one size, which therefore tells nothing. */
class FileStoreTest {

    private static final int MAX_BYTES = 1_000_000;
    /** Longer than a file has to be left alone before its hash is remembered. */
    private static final Duration SETTLED = Duration.ofMillis(2_100);

    @TempDir
    Path root;

    private Path file;
    private FileStore store;

    @BeforeEach
    void open() {
        file = root.resolve("file");
        store = new FileStore(root, MAX_BYTES);
    }

    @Test
    void writtenInPlace() throws Exception {
        String version = settled(1);
        fill(file, 2);
        assertEquals(2, found(version).bytes()[0]);
    }

    @Test
    void replacedByRename() throws Exception {
        String version = settled(1);
        Path other = root.resolve("other");
        fill(other, 2);
        Files.move(other, file, StandardCopyOption.ATOMIC_MOVE);
        assertEquals(2, found(version).bytes()[0]);
    }

    @Test
    void replacedByAnOlderFile() throws Exception {
        Path older = root.resolve("older");
        fill(older, 2);
        String version = settled(1);
        Files.setLastModifiedTime(older, Files.getLastModifiedTime(file));
        Files.move(older, file, StandardCopyOption.ATOMIC_MOVE);
        assertEquals(2, found(version).bytes()[0]);
    }

    @Test
    void writtenInPlaceAndDatedBack() throws Exception {
        String version = settled(1);
        FileTime modified = Files.getLastModifiedTime(file);
        fill(file, 2);
        Files.setLastModifiedTime(file, modified);
        assertEquals(2, found(version).bytes()[0]);
    }

    /** As fast as can be: several writes fall into one tick of the file system's clock. */
    @Test
    void writtenAgainAndAgain() throws Exception {
        String version = "";
        for (int i = 0; i < 500; i++) {
            fill(file, i);
            Found found = found(version);
            assertEquals((byte) i, found.bytes()[0]);
            version = found.version();
            unchanged(version);
        }
    }

    @Test
    void aTouchedFileIsNoNewVersion() throws Exception {
        String version = settled(1);
        Files.setLastModifiedTime(file, FileTime.fromMillis(0));
        unchanged(version);
        assertEquals(version, found("another").version());
    }

    /** Whoever knows the version is spared the content: asking is faster than hashing could be. */
    @Test
    void anUnchangedFileIsNotReadAgain() throws Exception {
        String version = settled(1);
        assertTrue(fastest(() -> unchanged(version)) * 3 < fastest(() -> found("another")));
    }

    @Test
    void whoeverKnowsAnotherVersionGetsTheContent() throws Exception {
        String version = settled(1);
        Found found = found("another");
        assertEquals(version, found.version());
        assertArrayEquals(Files.readAllBytes(file), found.bytes());
        assertEquals(
                version,
                assertInstanceOf(Found.class, store.get("file", Optional.empty()))
                        .version());
    }

    @Test
    void goneOrTooLarge() throws Exception {
        String version = settled(1);
        Files.delete(file);
        assertInstanceOf(Missing.class, store.get("file", Optional.of(version)));
        Files.write(file, new byte[MAX_BYTES + 1]);
        assertEquals(
                MAX_BYTES + 1,
                assertInstanceOf(TooLarge.class, store.get("file", Optional.of(version)))
                        .bytes());
    }

    private void fill(Path path, int value) throws IOException {
        byte[] content = new byte[MAX_BYTES];
        content[0] = (byte) value;
        Files.write(path, content);
    }

    /** The version of a file of this content that was left alone long enough, and has been read since. */
    private String settled(int value) throws Exception {
        fill(file, value);
        Thread.sleep(SETTLED);
        String version = found("").version();
        unchanged(version);
        return version;
    }

    private Found found(String known) {
        Found found = assertInstanceOf(Found.class, store.get("file", Optional.of(known)));
        assertNotEquals(known, found.version());
        return found;
    }

    private void unchanged(String version) {
        assertInstanceOf(Unchanged.class, store.get("file", Optional.of(version)));
    }

    private static long fastest(Runnable question) {
        long fastest = Long.MAX_VALUE;
        for (int i = 0; i < 20; i++) {
            long began = System.nanoTime();
            question.run();
            fastest = Math.min(fastest, System.nanoTime() - began);
        }
        return fastest;
    }
}
