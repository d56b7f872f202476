package io.softcall.store.mirror;

import io.softcall.Sha256;
import io.softcall.store.folder.Folders;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jboss.logging.Logger;

/**
 * Versions of objects on a disk that may lose power at any moment. A version is a file {@code KEY/NUMBER-SHA256}. Its time of
 * modification is the time when it was last validated. Files are never changed, and appear with their whole content. A file
 * whose content does not have the SHA-256 of its name is damaged, and is deleted. The version with the highest number is the
 * current one.
 *
 * <p>An empty file {@code left-SHA256} marks content that was rolled back. This content is refused until other content was
 * stored.
 */
public final class MirrorFolder {

    private static final Logger LOG = Logger.getLogger(MirrorFolder.class);

    private static final Pattern VERSION = Pattern.compile("([0-9]{12})-([0-9a-f]{64})");
    private static final String LEFT = "left-";
    private static final String UNFINISHED = ".unfinished-";
    /** The number of versions that are kept: the current one and the previous one. */
    private static final int KEPT = 2;

    /** The age after which an unfinished file is abandoned. Another process may still write a younger one. */
    private static final Duration WRITTEN_WITHIN = Duration.ofMinutes(1);

    /** The resolution of the times on disk. Each change costs a write, and flash memory wears out. */
    private static final Duration CONFIRMED_EVERY = Duration.ofMinutes(10);

    private final Path root;
    private final long maxBytes;

    /** One version of an object. */
    record Version(long number, String sha256, Path file) {}

    /** A version with its validated content. */
    record Copy(Version version, byte[] content, Instant confirmed) {}

    /** @throws IllegalArgumentException if the folder cannot be created or written */
    public MirrorFolder(Path root, long maxBytes) {
        this.root = root.toAbsolutePath().normalize();
        this.maxBytes = maxBytes;
        try {
            Files.createDirectories(this.root);
            for (Path file : files(name -> name.startsWith(UNFINISHED))) {
                if (Files.getLastModifiedTime(file)
                        .toInstant()
                        .isBefore(Instant.now().minus(WRITTEN_WITHIN))) {
                    Files.deleteIfExists(file);
                }
            }
        } catch (IOException e) {
            throw new IllegalArgumentException("the mirror's folder %s cannot be used: %s".formatted(this.root, e), e);
        }
        if (!Files.isWritable(this.root)) {
            throw new IllegalArgumentException("the mirror's folder %s cannot be written".formatted(this.root));
        }
    }

    Path root() {
        return root;
    }

    /** Returns the keys of all objects that have a version. */
    Set<String> keys() throws IOException {
        return files(name -> VERSION.matcher(name).matches()).stream()
                .map(file -> root.relativize(file.getParent()).toString())
                .collect(Collectors.toSet());
    }

    /**
     * Returns the newest version that is intact, was not rolled back, and is wanted. Deletes newer damaged versions.
     *
     * @param wanted decides by the content
     */
    Optional<Copy> newest(String key, Predicate<byte[]> wanted) throws IOException {
        Set<String> left = left(key);
        for (Version version : versions(key)) {
            if (!left.contains(version.sha256())) {
                Optional<Copy> copy = read(version).filter(found -> wanted.test(found.content()));
                if (copy.isPresent()) {
                    return copy;
                }
            }
        }
        return Optional.empty();
    }

    /** Reads a version; empty if it no longer exists or is damaged. A damaged version is deleted. */
    Optional<Copy> read(Version version) throws IOException {
        try {
            Instant confirmed = Files.getLastModifiedTime(version.file()).toInstant();
            byte[] content = Files.readAllBytes(version.file());
            if (Sha256.of(content).equals(version.sha256())) {
                return Optional.of(new Copy(version, content, confirmed));
            }
            LOG.warnf(
                    "%s is damaged and is deleted: its content does not have the SHA-256 in its name", version.file());
            Files.deleteIfExists(version.file());
            return Optional.empty();
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }

    /**
     * Makes this content the newest version, and keeps the previous one. When it returns, a loss of power does not undo it.
     *
     * @throws IOException if a file cannot be written, or the disk space for copies does not suffice
     */
    Copy put(String key, byte[] content) throws IOException {
        makeRoom(key, content.length);
        Path folder = folder(key);
        Files.createDirectories(folder);
        long number = versions(key).stream().findFirst().map(Version::number).orElse(0L) + 1;
        String sha256 = Sha256.of(content);
        Path file = folder.resolve("%012d-%s".formatted(number, sha256));
        Path unfinished = folder.resolve(UNFINISHED + UUID.randomUUID());
        try {
            Files.write(unfinished, content, StandardOpenOption.CREATE_NEW);
            sync(unfinished, StandardOpenOption.WRITE);
            Files.move(unfinished, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(unfinished);
        }
        // The folders up to the root are synchronized too, because they may be new.
        for (Path above = folder; above.startsWith(root); above = above.getParent()) {
            sync(above, StandardOpenOption.READ);
        }
        for (Version old : versions(key).stream().skip(KEPT).toList()) {
            Files.deleteIfExists(old.file());
        }
        for (String left : left(key)) {
            Files.deleteIfExists(folder.resolve(LEFT + left));
        }
        return new Copy(new Version(number, sha256, file), content, Instant.now());
    }

    /** Deletes replaced versions, the oldest first, until the new content fits. */
    private void makeRoom(String key, long needed) throws IOException {
        List<Path> files = files(name -> VERSION.matcher(name).matches());
        long bytes = needed;
        for (Path file : files) {
            bytes += Files.size(file);
        }
        if (bytes <= maxBytes) {
            return;
        }
        List<Version> oldest = keys().stream()
                .filter(other -> !other.equals(key))
                .flatMap(other -> replaced(other).stream())
                .sorted(Comparator.comparing(version -> version.file().toFile().lastModified()))
                .toList();
        for (Version version : oldest) {
            if (bytes > maxBytes) {
                bytes -= Files.size(version.file());
                Files.delete(version.file());
            }
        }
        if (bytes > maxBytes) {
            throw new IOException(
                    "the mirror would need %d bytes, and at most %d are allowed (softcall.store.mirror.max-bytes)"
                            .formatted(bytes, maxBytes));
        }
    }

    private List<Version> replaced(String key) {
        try {
            return versions(key).stream().skip(1).toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Records on disk that the version was validated now.
     *
     * @return whether its file still exists
     */
    boolean confirm(Version version) throws IOException {
        try {
            Instant now = Instant.now();
            Instant kept = Files.getLastModifiedTime(version.file()).toInstant();
            if (Duration.between(kept, now).abs().compareTo(CONFIRMED_EVERY) > 0) {
                Files.setLastModifiedTime(version.file(), FileTime.from(now));
            }
            return true;
        } catch (NoSuchFileException e) {
            return false;
        }
    }

    /**
     * Makes the previous version the current one.
     *
     * @return that version; empty if there is none, and then nothing is changed
     */
    Optional<Version> rollBack(String key) throws IOException {
        Optional<Copy> newest = newest(key, content -> true);
        if (newest.isEmpty()) {
            return Optional.empty();
        }
        Version current = newest.get().version();
        Optional<Copy> before = newest(key, content -> !Sha256.of(content).equals(current.sha256()));
        if (before.isPresent()) {
            Path mark = folder(key).resolve(LEFT + current.sha256());
            Files.write(mark, new byte[0], StandardOpenOption.CREATE);
            sync(mark, StandardOpenOption.WRITE);
            sync(folder(key), StandardOpenOption.READ);
        }
        return before.map(Copy::version);
    }

    /** Returns the SHA-256 digests of the contents that were rolled back. */
    Set<String> left(String key) throws IOException {
        return names(key)
                .filter(name -> name.startsWith(LEFT))
                .map(name -> name.substring(LEFT.length()))
                .collect(Collectors.toSet());
    }

    /** Deletes all versions. */
    void remove(String key) throws IOException {
        for (String name : names(key).toList()) {
            Files.deleteIfExists(folder(key).resolve(name));
        }
        Path folder = folder(key);
        while (!folder.equals(root) && isEmpty(folder)) {
            Files.delete(folder);
            folder = folder.getParent();
        }
        sync(folder, StandardOpenOption.READ);
    }

    /** Returns the versions, the newest first. */
    private List<Version> versions(String key) throws IOException {
        return names(key)
                .map(VERSION::matcher)
                .filter(Matcher::matches)
                .map(name -> new Version(
                        Long.parseLong(name.group(1)),
                        name.group(2),
                        folder(key).resolve(name.group())))
                .sorted(Comparator.comparingLong(Version::number).reversed())
                .toList();
    }

    /** Returns the names of the files of one object. */
    private Stream<String> names(String key) throws IOException {
        if (!Files.isDirectory(folder(key))) {
            return Stream.of();
        }
        try (Stream<Path> files = Files.list(folder(key))) {
            return files
                    .filter(Files::isRegularFile)
                    .map(file -> file.getFileName().toString())
                    .toList()
                    .stream();
        }
    }

    private List<Path> files(Predicate<String> named) throws IOException {
        return Folders.files(root, Integer.MAX_VALUE).stream()
                .filter(file -> named.test(file.getFileName().toString()))
                .toList();
    }

    private Path folder(String key) {
        return root.resolve(key);
    }

    private static boolean isEmpty(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.findAny().isEmpty();
        }
    }

    private static void sync(Path path, StandardOpenOption how) throws IOException {
        try (FileChannel channel = FileChannel.open(path, how)) {
            channel.force(true);
        }
    }
}
