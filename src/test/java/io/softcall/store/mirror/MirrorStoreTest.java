package io.softcall.store.mirror;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.ScratchFolder;
import io.softcall.Sha256;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.store.Loading;
import io.softcall.store.Store;
import io.softcall.store.Store.Found;
import io.softcall.store.Store.Missing;
import io.softcall.store.Store.Unchanged;
import io.softcall.store.TimeLimits;
import io.softcall.store.folder.FileStore;
import io.softcall.store.folder.Folders;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The answers of a mirror while its origin, a real folder, changes, disappears and returns, and while its disk is damaged or
 * full.
 */
class MirrorStoreTest {

    private static final String KEY = "acme/spam/object";
    private static final Duration INTERVAL = Duration.ofMillis(40);
    private static final Duration LIMIT = Duration.ofSeconds(20);

    /** Contents that begin with "bad" are refused. */
    private static final Acceptance ACCEPTANCE = new Acceptance() {
        @Override
        public String suffix() {
            return "/object";
        }

        @Override
        public Optional<String> refusal(String key, byte[] content, Optional<byte[]> held) {
            return new String(content, StandardCharsets.UTF_8).startsWith("bad")
                    ? Optional.of("it is bad")
                    : Optional.empty();
        }
    };

    @TempDir
    Path disk;

    private Path origin;
    private Path copies;
    private final Loading loading = new Loading(1 << 20, 1 << 20);
    private volatile boolean hidden;
    private volatile String unreadable = "";
    private long maxBytes = 10_000;
    private MirrorStore mirror;

    @BeforeEach
    void makeOrigin() throws IOException {
        origin = Files.createDirectory(disk.resolve("origin"));
        copies = disk.resolve("copies");
    }

    @AfterEach
    void close() {
        if (mirror != null) {
            mirror.close();
        }
    }

    @Test
    void newVersionsArriveInTheBackgroundAndOldOnesAnswerAtOnce() throws Exception {
        store(KEY, "v1");
        open();
        Found first = assertInstanceOf(Found.class, get(KEY, Optional.empty()));
        assertEquals("v1", text(first));
        assertEquals(Sha256.of(first.bytes()), first.version());
        assertInstanceOf(Unchanged.class, get(KEY, Optional.of(first.version())));
        store(KEY, "v2");
        await("v2");
        assertEquals(List.of(KEY), keys(mirror.list("", "/object", "", 10)));
    }

    @Test
    void listsAPageOfAPart() throws Exception {
        for (String key : List.of("a/object", "a-b/object", "b/c/object", "b/d/object")) {
            store(key, "v1");
        }
        open();
        await("b/d/object", "v1");
        assertEquals(List.of("a-b/object", "a/object"), keys(mirror.list("", "/object", "", 2)));
        assertEquals(List.of("b/c/object", "b/d/object"), keys(mirror.list("", "/object", "a/object", 2)));
        assertEquals(List.of("b/c/object"), keys(mirror.list("b/", "/object", "a/object", 1)));
        assertEquals(List.of("b/d/object"), keys(mirror.list("b/", "/object", "b/c/object", 9)));
        assertEquals(List.of(), keys(mirror.list("b/", "/object", "c", 9)));
        Instant stored = Files.getLastModifiedTime(origin.resolve("a/object")).toInstant();
        assertEquals(
                stored, mirror.list("a/", "/object", "", 1).entries().getFirst().modified());
    }

    /** A folder that is unreadable for a while does not make the mirror drop its objects. */
    @Test
    void whatTheOriginCannotListIsKept() throws Exception {
        store(KEY, "v1");
        openFaulty();
        await("v1");
        hidden = true;
        Thread.sleep(INTERVAL.multipliedBy(5));
        await("v1");
    }

    @Test
    void anObjectThatCannotBeHadHoldsUpNoOthers() throws Exception {
        store(KEY, "v1");
        store("a/object", "v1");
        store("z/object", "v1");
        unreadable = KEY;
        openFaulty();
        await("a/object", "v1");
        await("z/object", "v1");
        store("a/object", "v2");
        store("z/object", "v2");
        await("a/object", "v2");
        await("z/object", "v2");
        unreadable = "";
        await("v1");
    }

    /**
     * Opens a mirror of an origin that lists nothing while it is {@link #hidden}, and fails for the {@link #unreadable}
     * objects.
     */
    private void openFaulty() {
        FileStore whole = new FileStore(origin, 1_000, new TimeLimits(LIMIT, LIMIT));
        Store faulty = new Store() {
            @Override
            public Answer get(String key, Optional<String> known, Loading.Lease lease) {
                if (key.equals(unreadable)) {
                    throw new SoftcallException(Reason.STORE_UNAVAILABLE, "unreadable");
                }
                return whole.get(key, known, lease);
            }

            @Override
            public Page list(String prefix, String suffix, String after, int limit) {
                return hidden ? new Page(List.of(), Optional.empty(), false) : whole.list(prefix, suffix, after, limit);
            }

            @Override
            public String uri() {
                return whole.uri();
            }
        };
        mirror = new MirrorStore(faulty, new MirrorFolder(copies, maxBytes), ACCEPTANCE, loading, INTERVAL, LIMIT);
    }

    @Test
    void answersSayTheirAgeAcrossRestarts() throws Exception {
        store(KEY, "v1");
        open();
        await("v1");
        assertTrue(mirror.age(KEY).orElseThrow().compareTo(LIMIT) < 0);
        close();
        loseOrigin();
        Path copy = files().getFirst();
        Files.setLastModifiedTime(copy, FileTime.from(Instant.now().minus(Duration.ofHours(3))));
        open();
        await("v1");
        assertEquals(3, mirror.age(KEY).orElseThrow().toHours());
    }

    @Test
    void withoutOriginAndCopiesItSaysSoAndGoesOn() throws Exception {
        loseOrigin();
        open();
        SoftcallException away = assertThrows(SoftcallException.class, () -> get(KEY, Optional.empty()));
        assertEquals(Reason.STORE_UNAVAILABLE, away.reason());
        assertTrue(away.getMessage().contains("has no copy of " + KEY), away::getMessage);
        Files.createDirectory(origin);
        store(KEY, "v1");
        await("v1");
        // The round that fetched it may still be in progress. Until it ends, the previous round is the last one.
        await("acme/other/object", "nothing");
    }

    @Test
    void whatTheOriginListsNoMoreIsGone() throws Exception {
        store(KEY, "v1");
        open();
        await("v1");
        Files.delete(origin.resolve(KEY));
        await("nothing");
        awaitSize(0);
        assertTrue(files().isEmpty());
    }

    @Test
    void aRefusedVersionLeavesTheOldOne() throws Exception {
        store(KEY, "v1");
        open();
        await("v1");
        store(KEY, "bad");
        Thread.sleep(INTERVAL.multipliedBy(5));
        await("v1");
        store(KEY, "v3");
        await("v3");
    }

    @Test
    void aRefusedFirstVersionIsRefusedToCallersToo() throws Exception {
        store(KEY, "bad");
        open();
        SoftcallException refused = assertThrows(SoftcallException.class, () -> get(KEY, Optional.empty()));
        assertEquals(Reason.ARTIFACT_REFUSED, refused.reason());
        assertTrue(refused.publicMessage().endsWith("it is bad"), refused::getMessage);
    }

    @Test
    void aDamagedFileGivesWayToTheOneBefore() throws Exception {
        Random random = new Random(1);
        for (int damage = 0; damage < 20; damage++) {
            Files.createDirectories(origin);
            store(KEY, "v1 " + damage);
            open();
            await("v1 " + damage);
            store(KEY, "v2 " + damage);
            await("v2 " + damage);
            close();
            loseOrigin();
            byte[] content = Files.readAllBytes(files().getLast());
            int at = random.nextInt(content.length);
            content[at] ^= (byte) (1 << random.nextInt(8));
            Files.write(
                    files().getLast(),
                    damage % 2 == 0 ? content : java.util.Arrays.copyOf(content, random.nextInt(content.length)));
            open();
            await("v1 " + damage);
            close();
        }
    }

    @Test
    void aFileThatIsDamagedWhileTheMirrorIsOpenIsFetchedAgain() throws Exception {
        store(KEY, "v1");
        open();
        await("v1");
        Files.writeString(files().getFirst(), "vX");
        await("v1");
    }

    @Test
    void halfWrittenFilesAreNeverServed() throws Exception {
        store(KEY, "v1");
        open();
        await("v1");
        close();
        Files.writeString(copies.resolve(KEY).resolve(".unfinished-1"), "v");
        Files.writeString(
                copies.resolve(KEY).resolve("000000000009-" + Sha256.of("v9".getBytes(StandardCharsets.UTF_8))), "v");
        loseOrigin();
        open();
        await("v1");
    }

    @Test
    void rolledBackContentIsNotTakenAgainButOtherContentIs() throws Exception {
        store(KEY, "v1");
        open();
        await("v1");
        store(KEY, "v2");
        await("v2");
        assertTrue(new MirrorFolder(copies, maxBytes).rollBack(KEY).isPresent());
        await("v1");
        Thread.sleep(INTERVAL.multipliedBy(5));
        await("v1");
        close();
        open();
        await("v1");
        assertTrue(new MirrorFolder(copies, maxBytes).rollBack(KEY).isEmpty());
        store(KEY, "v3");
        await("v3");
    }

    @Test
    void theDiskIsBounded() throws Exception {
        maxBytes = 100;
        store(KEY, "a".repeat(30));
        store("b/object", "b".repeat(30));
        open();
        await("a".repeat(30));
        store(KEY, "c".repeat(30));
        await("c".repeat(30));
        // The previous version makes room for another task's ...
        store("b/object", "d".repeat(40));
        awaitSize(70 + 30);
        // ... and a content that does not fit changes nothing.
        store(KEY, "e".repeat(90));
        Thread.sleep(INTERVAL.multipliedBy(5));
        await("c".repeat(30));
        assertTrue(bytes() <= maxBytes);
    }

    private Store.Answer get(String key, Optional<String> known) {
        try (Loading.Lease lease = loading.lease(LIMIT)) {
            return mirror.get(key, known, lease);
        }
    }

    private static List<String> keys(Store.Page page) {
        return page.entries().stream().map(Store.Entry::key).toList();
    }

    private void open() {
        mirror = new MirrorStore(
                new FileStore(origin, 1_000, new TimeLimits(LIMIT, LIMIT)),
                new MirrorFolder(copies, maxBytes),
                ACCEPTANCE,
                loading,
                INTERVAL,
                LIMIT);
    }

    /** Stores an object atomically, as push does, because the mirror may read at any moment. */
    private void store(String key, String content) throws IOException {
        Path file = origin.resolve(key);
        Files.createDirectories(file.getParent());
        Path whole = Files.writeString(disk.resolve("whole"), content);
        Files.move(whole, file, StandardCopyOption.ATOMIC_MOVE);
    }

    private void loseOrigin() {
        new ScratchFolder(origin).close();
    }

    private void await(String content) throws Exception {
        await(KEY, content);
    }

    private void await(String key, String content) throws Exception {
        Instant end = Instant.now().plus(LIMIT);
        String found;
        do {
            found = found(key);
            Thread.sleep(2);
        } while (!found.equals(content) && Instant.now().isBefore(end));
        assertEquals(content, found);
    }

    private String found(String key) {
        try {
            return switch (get(key, Optional.empty())) {
                case Found copy -> text(copy);
                case Missing() -> "nothing";
                case Store.Answer other -> other.toString();
            };
        } catch (SoftcallException e) {
            return e.getMessage();
        }
    }

    private void awaitSize(long bytes) throws Exception {
        Instant end = Instant.now().plus(LIMIT);
        long found;
        do {
            found = bytes();
            Thread.sleep(2);
        } while (found != bytes && Instant.now().isBefore(end));
        assertEquals(bytes, found);
    }

    private long bytes() throws IOException {
        long bytes = 0;
        for (Path file : files()) {
            bytes += file.toFile().length(); // 0 if it was deleted meanwhile
        }
        return bytes;
    }

    /** Returns the copies, the newest of a task last. */
    private List<Path> files() throws IOException {
        return Folders.files(copies, Integer.MAX_VALUE).stream().sorted().toList();
    }

    private static String text(Found found) {
        return new String(found.bytes(), StandardCharsets.UTF_8);
    }
}
