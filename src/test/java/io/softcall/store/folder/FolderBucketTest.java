package io.softcall.store.folder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.store.Bucket;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A folder fulfils the contract of a bucket. */
class FolderBucketTest {

    @TempDir
    Path folder;

    private FolderBucket bucket;

    @BeforeEach
    void open() {
        bucket = new FolderBucket(folder);
    }

    @Test
    void ofManyWritersOneCreatesTheObjectAndItIsWhole() throws IOException {
        for (int round = 0; round < 20; round++) {
            String key = "a/b/" + round;
            List<String> winners = IntStream.range(0, 16)
                    .parallel()
                    .mapToObj(i -> "content %d ".formatted(i).repeat(10_000))
                    .filter(content -> bucket.create(key, content.getBytes(StandardCharsets.UTF_8)))
                    .toList();
            assertEquals(List.of(Files.readString(folder.resolve(key))), winners);
        }
        try (var files = Files.list(folder.resolve("a/b"))) {
            assertEquals(20, files.count(), "something was left behind");
        }
    }

    /** Linux accepts names of 255 bytes, and paths of 4,095. */
    @Test
    void theLongestNamesAndOneByteMore() {
        String name = "ä".repeat(127);
        assertTrue(bucket.create(name + "x", new byte[] {1}));
        assertEquals(Optional.empty(), bucket.stat(name + "y"));
        assertTooLong(name + "xy");
        int room = 4_095 - folder.toString().length() - 1;
        String deep = "d/".repeat(room / 2 - 1);
        String deepest = deep + "d".repeat(room - deep.length());
        assertEquals(Optional.empty(), bucket.stat(deepest));
        assertTooLong(deepest + "d");
    }

    private void assertTooLong(String key) {
        assertEquals(
                Reason.INVALID_REQUEST,
                assertThrows(SoftcallException.class, () -> bucket.stat(key)).reason());
        assertThrows(SoftcallException.class, () -> bucket.create(key, new byte[] {1}));
    }

    @Test
    void readsExactlyTheVersionThatIsNamed() throws IOException {
        bucket.create("x", new byte[] {1, 2, 3, 4});
        Bucket.Stat stat = bucket.stat("x").orElseThrow();
        assertEquals(4, stat.bytes());
        assertArrayEquals(
                new byte[] {2, 3}, bucket.read("x", stat.version(), 1, 2).orElseThrow());
        assertArrayEquals(
                new byte[] {4}, bucket.read("x", stat.version(), 3, 100).orElseThrow());
        Files.write(folder.resolve("x"), new byte[] {5, 6, 7, 8});
        Files.setLastModifiedTime(
                folder.resolve("x"), FileTime.from(Instant.now().plusSeconds(2)));
        assertTrue(bucket.read("x", stat.version(), 1, 2).isEmpty());
        Files.delete(folder.resolve("x"));
        assertTrue(bucket.read("x", stat.version(), 1, 2).isEmpty());
        assertEquals(Optional.empty(), bucket.stat("x"));
    }

    @Test
    void listsInOrder() {
        for (String key : List.of("job/part-2", "job/part-1", "job/other", "job/part-1x/y", "part-1")) {
            assertTrue(bucket.create(key, new byte[1]));
        }
        assertEquals(List.of("job/part-1", "job/part-2"), bucket.list("job/part-", 10));
        assertEquals(List.of("job/part-1"), bucket.list("job/part-", 1));
        assertEquals(List.of(), bucket.list("none/part-", 10));
    }

    /** A folder of another owner beside the bucket's folder does not belong to it. */
    @Test
    void keysWithoutAFolderAreThoseOfTheRoot() throws IOException {
        Path inner = Files.createDirectory(folder.resolve("bucket"));
        Files.writeString(folder.resolve("secret"), "x");
        FolderBucket nested = new FolderBucket(inner);
        assertEquals(List.of(), nested.list("", 10));
        assertTrue(nested.create("b", new byte[1]));
        assertTrue(nested.create("a", new byte[1]));
        assertTrue(nested.create("c/d", new byte[1]));
        assertEquals(List.of("a", "b"), nested.list("", 10));
        assertEquals(List.of("a"), nested.list("a", 10));
        assertEquals(List.of("c/d"), nested.list("c/", 10));
        assertEquals(List.of(), nested.list("a/", 10));
        assertEquals(List.of(), new FolderBucket(Path.of("/")).list("no such thing", 10));
        SoftcallException e = assertThrows(SoftcallException.class, () -> nested.create("", new byte[1]));
        assertEquals(Reason.INVALID_REQUEST, e.reason());
    }

    @Test
    void listsWhileOthersWriteAndPastLinksThatLeadNowhere() throws Exception {
        bucket.create("job/part-1", new byte[1]);
        Files.createSymbolicLink(folder.resolve("job/part-2"), Path.of("part-2"));
        Files.createSymbolicLink(folder.resolve("job/part-3"), Path.of("gone"));
        AtomicBoolean done = new AtomicBoolean();
        Thread writer = Thread.ofPlatform().start(() -> {
            try {
                while (!done.get()) {
                    Files.delete(Files.createTempFile(folder.resolve("job"), "part-", ""));
                    Path other = Files.createDirectories(folder.resolve("other"));
                    Files.delete(other);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        try {
            for (int i = 0; i < 2_000; i++) {
                assertEquals("job/part-1", bucket.list("job/part-1", 10).getFirst());
                assertEquals(List.of(), bucket.list("other/", 10));
            }
        } finally {
            done.set(true);
            writer.join();
        }
        assertEquals(List.of("job/part-1"), bucket.list("job/part-", 10));
    }

    @Test
    void nothingOutsideIsReached() {
        SoftcallException e = assertThrows(SoftcallException.class, () -> bucket.stat("../x"));
        assertEquals(Reason.INVALID_REQUEST, e.reason());
    }

    @Test
    void aFolderThatIsAwayIsNoEmptyBucket() {
        FolderBucket away = new FolderBucket(folder.resolve("away"));
        SoftcallException e = assertThrows(SoftcallException.class, () -> away.stat("x"));
        assertEquals(Reason.STORE_UNAVAILABLE, e.reason());
        assertThrows(SoftcallException.class, () -> away.list("x", 1));
        assertFalse(Files.exists(folder.resolve("away")));
    }
}
