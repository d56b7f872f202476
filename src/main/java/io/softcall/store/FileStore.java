package io.softcall.store;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;

/**
 * A folder as a store. An object's version is the SHA-256 of its content, so that a touched file is no new version. A file
 * is hashed once for as long as it stays what it was (docs/freshness.md).
 */
final class FileStore implements Store {

    /** What changes whenever a file is written or replaced: of the change's time even the file's owner cannot lie. */
    private static final String STATE = "unix:dev,ino,size,lastModifiedTime,ctime";

    /**
     * A file that changed less than this before it was read may change again without a trace: clocks of file systems are
     * coarse. No known one ticks more slowly.
     */
    private static final Duration TICK = Duration.ofSeconds(2);

    private static final int MAX_REMEMBERED = 10_000;

    /** The version of the content that a file had in a state. */
    private record Hashed(Map<String, Object> state, String version) {}

    private final Path root;
    private final long maxBytes;
    private final FolderListing listing;
    private final Cache<Path, Hashed> hashed =
            Caffeine.newBuilder().maximumSize(MAX_REMEMBERED).build();

    FileStore(Path root, long maxBytes) {
        this.root = root.toAbsolutePath().normalize();
        this.maxBytes = maxBytes;
        this.listing = new FolderListing(this.root);
    }

    @Override
    public Answer get(String key, Optional<String> known) {
        Path file = root.resolve(key);
        try {
            if (!Files.isRegularFile(file)) {
                // A folder that is away (an unmounted disk) must not read as "all tasks are gone".
                if (!Files.isDirectory(root)) {
                    throw new NoSuchFileException(root.toString());
                }
                return new Missing();
            }
            return read(file, known);
        } catch (IOException e) {
            throw failure(file, e);
        }
    }

    private Answer read(Path file, Optional<String> known) throws IOException {
        Instant began = Instant.now();
        Optional<Map<String, Object>> before = state(file);
        // Opened even if only its state is looked at: network file systems ask their server when a file is opened.
        try (var in = Files.newInputStream(file)) {
            Optional<Map<String, Object>> opened = state(file);
            if (known.isPresent() && opened.isPresent()) {
                Hashed last = hashed.getIfPresent(file);
                if (last != null && last.equals(new Hashed(opened.get(), known.get()))) {
                    return new Unchanged();
                }
            }
            long size = Files.size(file);
            if (size > maxBytes) {
                return new TooLarge("size-" + size, size, maxBytes);
            }
            byte[] bytes = in.readNBytes((int) maxBytes);
            String version = Sha256.of(bytes);
            // The same from before it was opened until it was read: these bytes are that file's.
            before.filter(state -> settled(state, began) && state(file).equals(before))
                    .ifPresent(state -> hashed.put(file, new Hashed(state, version)));
            return known.filter(version::equals).isPresent()
                    ? new Unchanged()
                    : new Found(version, Files.getLastModifiedTime(file).toInstant(), bytes);
        }
    }

    /** Empty where files have no such attributes; then each question hashes. */
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

    /** Whether a change at that time cannot be followed by one of the same time, seen from {@code now}. */
    static boolean isSettled(FileTime changed, Instant now) {
        return changed.toInstant().isBefore(now.minus(TICK));
    }

    @Override
    public Page list(String prefix, String suffix, String after, int limit) {
        try {
            return listing.list(prefix, suffix, after, limit);
        } catch (IOException e) {
            throw failure(root, e);
        }
    }

    @Override
    public String uri() {
        return "file:" + root;
    }

    private SoftcallException failure(Path file, Exception e) {
        if (e instanceof AccessDeniedException) {
            return new SoftcallException(Reason.STORE_DENIED, "the store refuses access", e)
                    .withDetail("store %s: no permission to read %s", uri(), file);
        }
        return new SoftcallException(Reason.STORE_UNAVAILABLE, "the store cannot be read", e)
                .withDetail("store %s: %s", uri(), e);
    }
}
