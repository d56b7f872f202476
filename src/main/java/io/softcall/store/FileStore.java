package io.softcall.store;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/** A folder as a store. An object's version is the SHA-256 of its content, so that a touched file is no new version. */
final class FileStore implements Store {

    private final Path root;
    private final long maxBytes;

    FileStore(Path root, long maxBytes) {
        this.root = root.toAbsolutePath().normalize();
        this.maxBytes = maxBytes;
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
            long size = Files.size(file);
            if (size > maxBytes) {
                return new TooLarge("size-" + size, size, maxBytes);
            }
            byte[] bytes;
            try (var in = Files.newInputStream(file)) {
                bytes = in.readNBytes((int) maxBytes);
            }
            String version = HexFormat.of().formatHex(sha256().digest(bytes));
            return known.filter(version::equals).isPresent() ? new Unchanged() : new Found(version, bytes);
        } catch (IOException e) {
            throw failure(file, e);
        }
    }

    @Override
    public Page list(String suffix, String after, int limit) {
        List<String> keys;
        try (var files = Files.walk(root, 32, FileVisitOption.FOLLOW_LINKS)) {
            keys = files.filter(Files::isRegularFile)
                    .map(file -> root.relativize(file).toString())
                    .filter(key -> key.endsWith(suffix) && key.compareTo(after) > 0)
                    .sorted()
                    .limit(limit + 1L)
                    .toList();
        } catch (IOException | java.io.UncheckedIOException e) {
            throw failure(root, e);
        }
        return keys.size() <= limit
                ? new Page(keys, Optional.empty())
                : new Page(keys.subList(0, limit), Optional.of(keys.get(limit - 1)));
    }

    @Override
    public String uri() {
        return "file:" + root;
    }

    private SoftcallException failure(Path file, Exception e) {
        if (e instanceof AccessDeniedException) {
            return new SoftcallException(
                    Reason.STORE_DENIED, "store %s: no permission to read %s".formatted(uri(), file), e);
        }
        return new SoftcallException(Reason.STORE_UNAVAILABLE, "store %s cannot be read: %s".formatted(uri(), e), e);
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java runtime has SHA-256", e);
        }
    }
}
