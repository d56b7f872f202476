package io.softcall.store.folder;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.softcall.Sha256;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.Workers;
import io.softcall.store.Failures;
import io.softcall.store.Loading;
import io.softcall.store.Location;
import io.softcall.store.Store;
import io.softcall.store.TimeLimits;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * A folder as a store. An object's version is the SHA-256 of its content, so a file that was only touched has the same version.
 * A file is hashed again only if its state changed (docs/freshness.md).
 */
public final class FileStore implements Store {

    /** The attributes that change when a file is written or replaced. The owner of a file cannot forge its ctime. */
    private static final String STATE = "unix:dev,ino,size,lastModifiedTime,ctime";

    /**
     * The coarsest known resolution of a file system's clock. A file that changed less than this before it was read may change
     * again with the same timestamps.
     */
    private static final Duration TICK = Duration.ofSeconds(2);

    /** The bound on a content: an array must hold it and one more byte. */
    private static final long MAX_ARRAY = Integer.MAX_VALUE - 16;

    /** How often a file is read that was larger each time than it had been before. */
    private static final int ATTEMPTS = 3;

    private static final int MAX_REMEMBERED = 10_000;

    /** The number of threads that access files, because an access may wait for a disk or a network. */
    private static final int REQUESTS_AT_ONCE = 4;

    private static final int REQUESTS_WAITING = 2_048;

    /** The version of a file's content, and the file's state when it was read. */
    private record Hashed(Map<String, Object> state, String version) {}

    private final Path root;
    private final long maxBytes;
    private final TimeLimits limits;
    private final FolderListing listing;
    private final Workers requests = new Workers("requests", REQUESTS_AT_ONCE, REQUESTS_WAITING);
    private final Cache<Path, Hashed> hashed =
            Caffeine.newBuilder().maximumSize(MAX_REMEMBERED).build();

    public FileStore(Path root, long maxBytes, TimeLimits limits) {
        this.root = root.toAbsolutePath().normalize();
        this.maxBytes = Math.min(maxBytes, MAX_ARRAY);
        this.limits = limits;
        this.listing = new FolderListing(this.root);
    }

    @Override
    public Answer get(String key, Optional<String> known, Loading.Lease lease) {
        Path file = root.resolve(key);
        try {
            for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
                Look look =
                        requests.call(() -> unlessGone(() -> look(file, known), Look::of), limits.answer(), this::late);
                if (look.answer().isPresent()) {
                    return look.answer().get();
                }
                lease.take(look.bytes());
                Optional<Answer> answer = lease.run(
                        () -> unlessGone(() -> read(file, known, (int) look.bytes()), Optional::of),
                        limits.transfer(),
                        () -> Failures.lateTransfer(uri()));
                if (answer.isPresent()) {
                    return answer.get();
                }
            }
        } catch (IOException e) {
            throw Failures.of(uri(), file, e);
        }
        throw new SoftcallException(Reason.STORE_UNAVAILABLE, "an object grows while it is read")
                .withDetail("store %s: %s", uri(), file);
    }

    private SoftcallException late() {
        return Failures.late(uri());
    }

    /**
     * Runs an operation, and treats a missing file as a missing object. A missing root, such as an unmounted disk, stays a
     * failure.
     */
    private <T> T unlessGone(Workers.Work<T, IOException> operation, Function<Missing, T> gone) throws IOException {
        try {
            return operation.run();
        } catch (NoSuchFileException e) {
            if (Files.isDirectory(root)) {
                return gone.apply(new Missing());
            }
            throw e;
        }
    }

    /**
     * The result of looking at a file without reading it.
     *
     * @param answer the answer; empty if the file has to be read
     * @param bytes the size of the file
     */
    private record Look(Optional<Answer> answer, long bytes) {

        static Look of(Answer answer) {
            return new Look(Optional.of(answer), 0);
        }
    }

    private Look look(Path file, Optional<String> known) throws IOException {
        Optional<BasicFileAttributes> attributes = attributes(file).filter(BasicFileAttributes::isRegularFile);
        if (attributes.isEmpty()) {
            throw new NoSuchFileException(file.toString());
        }
        Hashed last = hashed.getIfPresent(file);
        if (last != null && known.filter(last.version()::equals).isPresent()) {
            // The file is opened even though only its state is read, because network file systems ask their server
            // then.
            Files.newInputStream(file).close();
            if (state(file).filter(last.state()::equals).isPresent()) {
                return Look.of(new Unchanged());
            }
        }
        long size = attributes.get().size();
        return size > maxBytes
                ? Look.of(new TooLarge("size-" + size, size, maxBytes))
                : new Look(Optional.empty(), size);
    }

    /**
     * Reads a file.
     *
     * @param size the size that it had
     * @return empty if it has grown, so that it needs more memory than was reserved
     */
    private Optional<Answer> read(Path file, Optional<String> known, int size) throws IOException {
        Instant began = Instant.now();
        Optional<Map<String, Object>> before = state(file);
        try (var in = Files.newInputStream(file)) {
            Instant modified = Files.getLastModifiedTime(file).toInstant();
            // One array of the right size; readNBytes(size) would take twice the memory.
            byte[] whole = new byte[size];
            int read = in.readNBytes(whole, 0, size);
            if (read == size && in.read() >= 0) {
                return Optional.empty();
            }
            byte[] bytes = read == size ? whole : Arrays.copyOf(whole, read);
            String version = Sha256.of(bytes);
            // The state did not change from before the opening until after the reading, so it belongs to these bytes.
            before.filter(state -> settled(state, began) && state(file).equals(before))
                    .ifPresent(state -> hashed.put(file, new Hashed(state, version)));
            return Optional.of(
                    known.filter(version::equals).isPresent() ? new Unchanged() : new Found(version, modified, bytes));
        }
    }

    /**
     * Returns the attributes of a file; empty if there is no such file. Unlike {@link Files#isRegularFile}, it throws if they
     * cannot be read.
     */
    private Optional<BasicFileAttributes> attributes(Path file) throws IOException {
        try {
            return Optional.of(Files.readAttributes(file, BasicFileAttributes.class));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (AccessDeniedException e) {
            throw e;
        } catch (IOException e) {
            for (Path step = file; !step.equals(root); step = step.getParent()) {
                // A file is in place of a folder, or links form a loop.
                if (Files.isRegularFile(step) || Files.isSymbolicLink(step) && !Files.exists(step)) {
                    return Optional.empty();
                }
            }
            throw e;
        }
    }

    /** Returns the state of a file; empty if the file system lacks such attributes. Each operation hashes the file then. */
    private static Optional<Map<String, Object>> state(Path file) {
        try {
            return Optional.of(Files.readAttributes(file, STATE));
        } catch (IOException | UnsupportedOperationException | IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private static boolean settled(Map<String, Object> state, Instant began) {
        return isSettled((FileTime) state.get("ctime"), began)
                && isSettled((FileTime) state.get("lastModifiedTime"), began);
    }

    /** Returns whether a change that happens after {@code now} certainly gets another timestamp than {@code changed}. */
    static boolean isSettled(FileTime changed, Instant now) {
        return changed.toInstant().isBefore(now.minus(TICK));
    }

    @Override
    public Page list(String prefix, String suffix, String after, int limit) {
        try {
            return listing.list(prefix, suffix, after, limit);
        } catch (IOException e) {
            throw Failures.of(uri(), root, e);
        }
    }

    @Override
    public String uri() {
        return Location.FOLDER_SCHEME + root;
    }
}
