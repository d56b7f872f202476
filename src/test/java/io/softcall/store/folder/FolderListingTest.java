package io.softcall.store.folder;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.softcall.SoftcallException;
import io.softcall.store.Loading;
import io.softcall.store.Store;
import io.softcall.store.TimeLimits;
import io.softcall.store.Utf8Order;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributeView;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Pages of a tree on a real file system, in the order of keys. A page's cost depends only on its own objects. */
class FolderListingTest {

    private static final String FILE = "/object";

    private static final Duration LIMIT = Duration.ofSeconds(20);

    @TempDir
    Path root;

    private final Set<Path> folders = new TreeSet<>();

    /** The order is that of S3: {@code /} comes after {@code -} and {@code .}, and keys are compared by their UTF-8 bytes. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 7, 100})
    void pagesAreInTheOrderOfKeys(int limit) throws IOException {
        List<String> names = List.of(
                "a",
                "a-b",
                "a.b",
                "a/b",
                "a/b/c",
                "a0",
                "ab",
                "b/object",
                "c/d/e/f",
                "z",
                "Z",
                "\u00e9",
                "\ufffd",
                "\ud83d\ude00");
        for (String name : names) {
            store(name);
        }
        Files.writeString(root.resolve("a/other"), "no object");
        Files.writeString(root.resolve("object"), "without a folder");
        Files.createDirectories(root.resolve("d/object"));
        List<String> expected = names.stream()
                .map(name -> name + FILE)
                .sorted(Utf8Order.COMPARATOR)
                .toList();
        assertEquals(expected, pages("", limit));
    }

    @Test
    void aPageIsOfAPart() throws IOException {
        for (String name : List.of("a", "acme", "acme-x/y", "acme/a", "acme/b/c", "acme/b/d", "acmf", "b")) {
            store(name);
        }
        assertEquals(keys("acme/a", "acme/b/c", "acme/b/d", "acme"), pages("acme/", 2));
        assertEquals(keys("acme/b/c", "acme/b/d"), pages("acme/b", 1));
        assertEquals(keys("acme-x/y", "acme/a", "acme/b/c", "acme/b/d", "acme"), pages("acme", 1));
        assertEquals(keys("acme"), pages("acme/object", 1));
        assertEquals(List.of(), pages("nothing", 1));
        assertEquals(List.of(), pages("../", 1));
        assertEquals(keys("acmf", "b"), keys(store().list("", FILE, "acme/zzz", 9)));
        assertEquals(keys("acmf"), keys(store().list("acm", FILE, "acme/zzz", 9)));
    }

    /**
     * The time of the last access shows which folders were read. A page may have to read the folder before its first object
     * too.
     */
    @Test
    void aPageReadsTheFoldersOfItsRowsAlone() throws IOException {
        for (int i = 0; i < 300; i++) {
            store("acme/%03d".formatted(i));
            store("other-%03d".formatted(i));
        }
        forgetAccess();
        assumeTrue(accessed().isEmpty());
        Store.Page page = store().list("acme/", FILE, "acme/100" + FILE, 3);
        assertEquals(keys("acme/101", "acme/102", "acme/103"), keys(page));
        assertEquals(Optional.of("acme/103" + FILE), page.next());
        assertEquals(
                Stream.of("", "acme", "acme/100", "acme/101", "acme/102", "acme/103")
                        .map(root::resolve)
                        .toList(),
                accessed());
    }

    /** The names in a large folder are read once, as long as it does not change. */
    @Test
    void theNamesOfALargeFolderAreReadAgainOnceItHasChanged() throws Exception {
        for (int i = 0; i < 300; i++) {
            store("%03d".formatted(i));
        }
        FileStore store = store();
        Files.setLastModifiedTime(root, FileTime.from(Instant.now().minusSeconds(3)));
        assertEquals(keys("000"), keys(store.list("", FILE, "", 1)));
        forgetAccess();
        assertEquals(keys("001"), keys(store.list("", FILE, "000" + FILE, 1)));
        assertEquals(List.of(root.resolve("000"), root.resolve("001")), accessed());
        store("000-new");
        assertEquals(keys("000-new"), keys(store.list("", FILE, "", 1)));
        Files.delete(root.resolve("000-new" + FILE));
        Files.delete(root.resolve("000-new"));
        assertEquals(keys("000"), keys(store.list("", FILE, "", 1)));
    }

    @Test
    void aFewTasksAmongManyOtherThingsAreFoundInSteps() throws IOException {
        for (int i = 0; i < 5_000; i++) {
            Files.createFile(root.resolve("file-%04d".formatted(i)));
        }
        store("zebra");
        Store.Page first = store().list("", FILE, "", 1);
        assertEquals(List.of(), first.entries());
        assertTrue(first.next().isPresent());
        assertEquals(keys("zebra"), pages("", 1));
    }

    @Test
    void linksThatLoopOrLeadNowhereArePassedOver() throws IOException {
        store("a");
        Files.createSymbolicLink(root.resolve("loop"), Path.of("loop"));
        Files.createSymbolicLink(root.resolve("there"), Path.of("back"));
        Files.createSymbolicLink(root.resolve("back"), Path.of("there"));
        Files.createSymbolicLink(root.resolve("nowhere"), Path.of("gone"));
        Files.createSymbolicLink(root.resolve("self"), Path.of("."));
        Files.createSymbolicLink(root.resolve("a/up"), Path.of(".."));
        Files.createSymbolicLink(root.resolve("other"), Path.of("a"));
        Files.createDirectory(root.resolve("b"));
        Files.createSymbolicLink(root.resolve("b/object"), Path.of("object"));
        assertEquals(keys("a", "other"), pages("", 1));
        assertTrue(store().list("", FILE, "", 9).whole());
    }

    /** {@code softcall push} writes a file beside its object, and then renames it. */
    @Test
    void listsWhileOthersWrite() throws Exception {
        store("file");
        AtomicBoolean done = new AtomicBoolean();
        Thread writer = Thread.ofPlatform().start(() -> {
            try {
                while (!done.get()) {
                    Path folder = Files.createDirectories(root.resolve("new"));
                    Path unfinished = Files.createTempFile(folder, "new", ".tmp");
                    Files.delete(unfinished);
                    Files.delete(folder);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        FileStore store = store();
        try {
            for (int i = 0; i < 2_000; i++) {
                assertEquals(keys("file"), keys(store.list("", FILE, "", 10)));
            }
        } finally {
            done.set(true);
            writer.join();
        }
    }

    /** Pages of any size list the same keys, for any tree. */
    @Test
    void pagesOfAnySizeGiveTheSame() throws IOException {
        Random random = new Random(1);
        for (int i = 0; i < 200; i++) {
            StringBuilder name = new StringBuilder();
            for (int depth = 0; depth <= random.nextInt(3); depth++) {
                name.append(depth == 0 ? "" : "/").append("ab-.0".charAt(random.nextInt(2)));
                name.append("ab-.0".charAt(random.nextInt(5)));
            }
            store(name.toString());
        }
        List<String> all;
        try (Stream<Path> files = Files.walk(root)) {
            all = files.filter(Files::isRegularFile)
                    .map(file -> root.relativize(file).toString())
                    .sorted()
                    .toList();
        }
        for (int limit : new int[] {1, 2, 5, 1_000}) {
            assertEquals(all, pages("", limit));
        }
        for (String prefix : List.of("a", "a-", "b/", "b/a", "a0/")) {
            assertEquals(all.stream().filter(key -> key.startsWith(prefix)).toList(), pages(prefix, 2));
        }
        for (String key : all) {
            assertEquals(all.subList(all.indexOf(key) + 1, all.size()), keys(store().list("", FILE, key, 1_000)));
        }
    }

    @Test
    void aStoreThatIsGoneIsNoEmptyStore() {
        FileStore gone = new FileStore(root.resolve("gone"), 1, new TimeLimits(LIMIT, LIMIT));
        assertThrows(SoftcallException.class, () -> gone.list("", FILE, "", 10));
    }

    @Test
    void aFolderThatMayNotBeReadIsLeftOutAndTheRootIsNot() throws Exception {
        store("a");
        store("b/secret");
        store("c");
        Files.setPosixFilePermissions(root.resolve("b"), PosixFilePermissions.fromString("---------"));
        try {
            assertEquals("[a/object, c/object] whole=false, b/secret STORE_DENIED", listedWithoutPrivileges(root));
            assertEquals("STORE_DENIED", listedWithoutPrivileges(root.resolve("b")));
        } finally {
            Files.setPosixFilePermissions(root.resolve("b"), PosixFilePermissions.fromString("rwx------"));
        }
    }

    /** Lists a folder in a process of its own, without root's right to read everything. */
    private static String listedWithoutPrivileges(Path folder) throws Exception {
        List<String> command = new ArrayList<>();
        if (System.getProperty("user.name").equals("root")) {
            command.addAll(List.of("setpriv", "--bounding-set=-dac_override,-dac_read_search"));
        }
        command.addAll(List.of(
                Path.of(System.getProperty("java.home"), "bin/java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                FolderListingTest.class.getName(),
                folder.toString()));
        Process process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return said.lines().reduce((first, last) -> last).orElse("nothing");
    }

    /** The program that lists the folder of its argument. */
    public static void main(String... arguments) {
        try {
            Store store = new FileStore(Path.of(arguments[0]), 1, new TimeLimits(LIMIT, LIMIT));
            Store.Page page = store.list("", FILE, "", 10);
            System.out.print(keys(page) + " whole=" + page.whole() + ", b/secret ");
            store.get("b/secret/object", Optional.empty(), new Loading(1, 1).lease(LIMIT));
        } catch (SoftcallException e) {
            System.out.println(e.reason());
        }
    }

    private FileStore store() {
        return new FileStore(root, 1_000, new TimeLimits(LIMIT, LIMIT));
    }

    private void store(String name) throws IOException {
        Path folder = Files.createDirectories(root.resolve(name));
        Files.writeString(folder.resolve("object"), "x");
        for (Path each = folder; each.startsWith(root); each = each.getParent()) {
            folders.add(each);
        }
    }

    /** Returns all pages of a part, one after the other. */
    private List<String> pages(String prefix, int limit) {
        FileStore store = store();
        List<String> keys = new ArrayList<>();
        Optional<String> after = Optional.of("");
        while (after.isPresent()) {
            Store.Page page = store.list(prefix, FILE, after.get(), limit);
            assertTrue(page.entries().size() <= limit);
            keys.addAll(keys(page));
            assertFalse(page.next().equals(after), "no progress");
            after = page.next();
        }
        return keys;
    }

    private static List<String> keys(Store.Page page) {
        return page.entries().stream().map(Store.Entry::key).toList();
    }

    private static List<String> keys(String... names) {
        return Stream.of(names).map(name -> name + FILE).toList();
    }

    private void forgetAccess() throws IOException {
        for (Path folder : folders) {
            Files.getFileAttributeView(folder, BasicFileAttributeView.class)
                    .setTimes(null, FileTime.fromMillis(0), null);
        }
    }

    private List<Path> accessed() throws IOException {
        List<Path> accessed = new ArrayList<>();
        for (Path folder : folders) {
            if (Files.readAttributes(folder, BasicFileAttributes.class)
                            .lastAccessTime()
                            .toMillis()
                    > 0) {
                accessed.add(folder);
            }
        }
        return accessed;
    }
}
