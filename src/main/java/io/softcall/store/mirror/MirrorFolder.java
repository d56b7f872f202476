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
 * Versions of objects on a disk that may lose its power at any moment. A version is a file {@code KEY/NUMBER-SHA256}; its time of
 * modification says when it was last known to be the stored one. Files are never changed, and appear whole: what they hold is
 * what their name says, or they are damaged, and are deleted. The highest number counts.
 *
 * <p>An empty file {@code left-SHA256} marks content that was rolled back, and is not taken again until other content came.
 */
public final class MirrorFolder {

    private static final Logger LOG = Logger.getLogger(MirrorFolder.class);

    private static final Pattern VERSION = Pattern.compile("([0-9]{12})-([0-9a-f]{64})");
    private static final String LEFT = "left-";
    private static final String UNFINISHED = ".unfinished-";
    /** The one that counts, and the one before. */
    private static final int KEPT = 2;

    /** What is older has been given up; another process may still write what is younger. */
    private static final Duration WRITTEN_WITHIN = Duration.ofMinutes(1);

    /** How exactly times are kept on disk: each costs a write, and flash memory wears. */
    private static final Duration CONFIRMED_EVERY = Duration.ofMinutes(10);

    private final Path root;
    private final long maxBytes;

    /** One version of an object. */
    record Version(long number, String sha256, Path file) {}

    /** A version and its content, which was checked. */
    record Copy(Version version, byte[] content, Instant confirmed) {}

    /** @throws IllegalArgumentException when the folder cannot be made or written */
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

    /** Keys of all objects of which there is a version. */
    Set<String> keys() throws IOException {
        return files(name -> VERSION.matcher(name).matches()).stream()
                .map(file -> root.relativize(file.getParent()).toString())
                .collect(Collectors.toSet());
    }

    /**
     * The newest version that is whole, was not rolled back, and is wanted. Damaged ones on the way are deleted.
     *
     * @param wanted decides on the content
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

    /** Empty when the version is gone or damaged, and gone then. */
    Optional<Copy> read(Version version) throws IOException {
        try {
            Instant confirmed = Files.getLastModifiedTime(version.file()).toInstant();
            byte[] content = Files.readAllBytes(version.file());
            if (Sha256.of(content).equals(version.sha256())) {
                return Optional.of(new Copy(version, content, confirmed));
            }
            LOG.warnf("%s does not hold what its name says: it is damaged, and deleted", version.file());
            Files.deleteIfExists(version.file());
            return Optional.empty();
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }

    /**
     * Makes this content the newest version, and keeps the one before. When it returns, no loss of power takes it back.
     *
     * @throws IOException also when there is no room within the limit
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
        // Up to the root: the folders may be as new as the file.
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

    /** Versions that were replaced make room, the oldest first. */
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
            throw new IOException("%d bytes are more than the mirror may have (softcall.store.mirror.max-bytes=%d)"
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
     * Keeps on disk that the version is the stored one now.
     *
     * @return whether there still is such a file
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
     * Goes back to the version before.
     *
     * @return that version; empty, and nothing done, when there is none
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

    /** SHA-256 of the contents that were rolled back. */
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

    /** The newest first. */
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

    /** Names of the files of one object. */
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
