package io.softcall.store.folder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.store.Loading;
import io.softcall.store.Store;
import io.softcall.store.Store.Found;
import io.softcall.store.Store.Missing;
import io.softcall.store.Store.TooLarge;
import io.softcall.store.Store.Unchanged;
import io.softcall.store.TimeLimits;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** When a file is a new version, on a real file system. All contents have the same size, so the size shows no change. */
class FileStoreTest {

    private static final int MAX_BYTES = 1_000_000;
    /** Longer than a file must be unchanged before its hash is cached. */
    private static final Duration SETTLED = Duration.ofMillis(2_100);

    /** More than the number of threads of any pool. */
    private static final int CALLERS = 200;

    private static final Duration LIMIT = Duration.ofSeconds(20);

    @TempDir
    Path root;

    private final Loading loading = new Loading(16 << 20, 16 << 20);

    private Path file;
    private FileStore store;

    @BeforeEach
    void open() {
        file = root.resolve("file");
        store = new FileStore(root, MAX_BYTES, new TimeLimits(LIMIT, LIMIT));
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

    /** Several fast writes happen within one tick of the file system's clock. */
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

    /** Its memory was reserved by the smaller size. */
    @Test
    void aFileThatGrowsBeforeItIsReadIsLookedAtAgain() throws Exception {
        Loading small = new Loading(1 << 20, 1 << 20);
        Files.write(file, new byte[1_000]);
        byte[] larger = new byte[900_000];
        larger[899_999] = 7;
        CompletableFuture<Store.Answer> answer;
        List<Loading.Lease> all =
                IntStream.range(0, 4).mapToObj(i -> small.lease(LIMIT)).toList();
        try {
            all.forEach(lease -> lease.take(255 * 1_024)); // all room for small contents
            CompletableFuture<Thread> waiting = new CompletableFuture<>();
            answer = CompletableFuture.supplyAsync(() -> {
                try (Loading.Lease lease = small.lease(LIMIT)) {
                    waiting.complete(Thread.currentThread());
                    return store.get("file", Optional.empty(), lease);
                }
            });
            // It is in take() once it waits for long: to look at the file takes far less.
            Thread caller = waiting.get();
            for (int quiet = 0; quiet < 50; quiet = caller.getState() == Thread.State.TIMED_WAITING ? quiet + 1 : 0) {
                Thread.sleep(2);
            }
            Files.write(file, larger);
        } finally {
            all.forEach(Loading.Lease::close);
        }
        assertArrayEquals(larger, assertInstanceOf(Found.class, answer.get()).bytes());
    }

    /** A caller that knows the version does not get the content, and the answer comes faster than hashing would allow. */
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
                version, assertInstanceOf(Found.class, get(Optional.empty())).version());
    }

    @Test
    void goneOrTooLarge() throws Exception {
        String version = settled(1);
        Files.delete(file);
        assertInstanceOf(Missing.class, get(Optional.of(version)));
        Files.write(file, new byte[MAX_BYTES + 1]);
        assertEquals(
                MAX_BYTES + 1,
                assertInstanceOf(TooLarge.class, get(Optional.of(version))).bytes());
    }

    /** A task does not exist if its path leads through a file, or through a link that loops or is broken. */
    @Test
    void whatCannotBeThereIsMissing() throws Exception {
        fill(file, 1);
        Files.createSymbolicLink(root.resolve("loop"), Path.of("loop"));
        Files.createSymbolicLink(root.resolve("nowhere"), Path.of("gone"));
        Files.createDirectory(root.resolve("folder"));
        for (String key : List.of("gone", "gone/x", "file/x", "loop", "loop/x", "nowhere", "nowhere/x", "folder")) {
            assertInstanceOf(Missing.class, get(key, Optional.empty()), key);
        }
    }

    /**
     * A lease on a file blocks everyone who opens it, like a network file system that hangs. Virtual threads must still run.
     */
    @Test
    void aDiskThatHangsHoldsUpNobodyElse() throws Exception {
        String version = settled(1);
        store = new FileStore(root, MAX_BYTES, new TimeLimits(Duration.ofMillis(300), LIMIT));
        assertInstanceOf(Unchanged.class, get(Optional.of(version)));
        Process holder = new ProcessBuilder("python3", "-c", """
                        import fcntl, os, signal, sys
                        signal.signal(signal.SIGIO, signal.SIG_IGN)
                        fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), fcntl.F_SETLEASE, fcntl.F_WRLCK)
                        print("held", flush=True)
                        sys.stdin.read()
                        """, file.toString()).start();
        try {
            assertEquals("held", holder.inputReader().readLine());
            CountDownLatch begun = new CountDownLatch(CALLERS);
            List<CompletableFuture<Reason>> answers = new ArrayList<>();
            for (int i = 0; i < CALLERS; i++) {
                CompletableFuture<Reason> answer = new CompletableFuture<>();
                answers.add(answer);
                Thread.startVirtualThread(() -> {
                    begun.countDown();
                    answer.complete(assertThrows(SoftcallException.class, () -> get(Optional.of(version)))
                            .reason());
                });
            }
            // All virtual threads have run, although each waits for its file.
            assertTrue(begun.await(20, TimeUnit.SECONDS));
            for (CompletableFuture<Reason> answer : answers) {
                assertEquals(Reason.STORE_UNAVAILABLE, answer.get(20, TimeUnit.SECONDS));
            }
        } finally {
            holder.destroyForcibly().waitFor();
        }
        assertInstanceOf(Unchanged.class, get(Optional.of(version)));
    }

    private Store.Answer get(Optional<String> known) {
        return get("file", known);
    }

    private Store.Answer get(String key, Optional<String> known) {
        try (Loading.Lease lease = loading.lease(LIMIT)) {
            return store.get(key, known, lease);
        }
    }

    private void fill(Path path, int value) throws IOException {
        byte[] content = new byte[MAX_BYTES];
        content[0] = (byte) value;
        Files.write(path, content);
    }

    /** Writes a file, waits until its hash can be cached, reads it, and returns its version. */
    private String settled(int value) throws Exception {
        fill(file, value);
        Thread.sleep(SETTLED);
        String version = found("").version();
        unchanged(version);
        return version;
    }

    private Found found(String known) {
        Found found = assertInstanceOf(Found.class, get(Optional.of(known)));
        assertNotEquals(known, found.version());
        return found;
    }

    private void unchanged(String version) {
        assertInstanceOf(Unchanged.class, get(Optional.of(version)));
    }

    private static long fastest(Runnable operation) {
        long fastest = Long.MAX_VALUE;
        for (int i = 0; i < 20; i++) {
            long began = System.nanoTime();
            operation.run();
            fastest = Math.min(fastest, System.nanoTime() - began);
        }
        return fastest;
    }
}
