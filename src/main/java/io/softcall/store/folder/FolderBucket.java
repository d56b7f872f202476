package io.softcall.store.folder;

import io.softcall.SoftcallException;
import io.softcall.store.Bucket;
import io.softcall.store.Failures;
import io.softcall.store.Location;
import io.softcall.store.Utf8Order;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/**
 * A folder as a bucket. A version is a file's size and time of modification, because the files of jobs are too large to hash
 * first.
 */
public final class FolderBucket implements Bucket {

    /** The bounds of Linux's file systems. */
    private static final int MAX_NAME_BYTES = 255;

    private static final int MAX_PATH_BYTES = 4_095;

    private final Path root;

    public FolderBucket(Path root) {
        this.root = root.toAbsolutePath().normalize();
    }

    @Override
    public Optional<Stat> stat(String key) {
        Path file = file(key);
        try {
            if (!Files.isRegularFile(file)) {
                requireRoot();
                return Optional.empty();
            }
            var attributes = Files.readAttributes(file, BasicFileAttributes.class);
            long changed = attributes.lastModifiedTime().to(TimeUnit.NANOSECONDS);
            return Optional.of(new Stat("%x-%x".formatted(attributes.size(), changed), attributes.size()));
        } catch (IOException e) {
            throw failure(file, e);
        }
    }

    @Override
    public Optional<byte[]> read(String key, String version, long from, int length) {
        Path file = file(key);
        if (!isStill(key, version)) {
            return Optional.empty();
        }
        ByteBuffer bytes = ByteBuffer.allocate(length);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            while (bytes.hasRemaining() && channel.read(bytes, from + bytes.position()) > 0) {}
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IOException e) {
            throw failure(file, e);
        }
        return isStill(key, version) ? Optional.of(Arrays.copyOf(bytes.array(), bytes.position())) : Optional.empty();
    }

    private boolean isStill(String key, String version) {
        return stat(key).filter(now -> now.version().equals(version)).isPresent();
    }

    @Override
    public boolean create(String key, Path content) {
        return create(key, staged -> Files.copy(content, staged));
    }

    @Override
    public boolean create(String key, byte[] content) {
        return create(key, staged -> Files.write(staged, content));
    }

    private interface Content {
        void writeTo(Path file) throws IOException;
    }

    /**
     * Creates a file. It is written under another name first and then linked, because a link appears with the whole content,
     * and fails if the file exists.
     */
    private boolean create(String key, Content content) {
        Path file = file(key);
        if (file.equals(root)) {
            throw SoftcallException.invalid("key \"%s\" does not name a file", key);
        }
        try {
            Files.createDirectories(file.getParent());
            Path staged = file.resolveSibling("." + UUID.randomUUID());
            try {
                content.writeTo(staged);
                try (FileChannel channel = FileChannel.open(staged, StandardOpenOption.WRITE)) {
                    channel.force(true);
                }
                Files.createLink(file, staged);
                return true;
            } catch (FileAlreadyExistsException e) {
                return false;
            } finally {
                Files.deleteIfExists(staged);
            }
        } catch (IOException e) {
            throw failure(file, e);
        }
    }

    /** Lists the files of one folder, without those of folders below it. */
    @Override
    public List<String> list(String prefix, int limit) {
        String parent = prefix.substring(0, prefix.lastIndexOf('/') + 1);
        Path folder = file(parent);
        List<String> keys = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                String key = parent + file.getFileName();
                if (key.startsWith(prefix)) {
                    keys.add(key);
                }
            }
        } catch (NoSuchFileException | NotDirectoryException e) {
            requireRoot();
            return List.of();
        } catch (DirectoryIteratorException e) {
            throw failure(folder, e.getCause());
        } catch (IOException e) {
            throw failure(folder, e);
        }
        // Files that were deleted meanwhile and broken links are left out.
        return keys.stream()
                .sorted(Utf8Order.COMPARATOR)
                .filter(key -> Files.isRegularFile(file(key)))
                .limit(limit)
                .toList();
    }

    /** Fails if the root is missing, such as an unmounted disk, because its objects must not count as deleted. */
    private void requireRoot() {
        if (!Files.isDirectory(root)) {
            throw failure(root, new NoSuchFileException(root.toString()));
        }
    }

    @Override
    public String uri() {
        return Location.FOLDER_SCHEME + root + "/";
    }

    private Path file(String key) {
        Path file =
                path(key).orElseThrow(() -> SoftcallException.invalid("key \"%s\" cannot be the name of a file", key));
        if (!file.startsWith(root)) {
            throw SoftcallException.invalid("key \"%s\" names a file outside of the store", key)
                    .withDetail("store %s", uri());
        }
        return file;
    }

    /**
     * Returns the path of a key; empty if no file can have such a name. A name that is too long would otherwise look like an
     * unavailable store.
     */
    private Optional<Path> path(String key) {
        try {
            return Optional.of(root.resolve(key).normalize()).filter(FolderBucket::isShortEnough);
        } catch (InvalidPathException e) {
            return Optional.empty();
        }
    }

    private static boolean isShortEnough(Path file) {
        for (Path name : file) {
            if (bytes(name) > MAX_NAME_BYTES) {
                return false;
            }
        }
        return bytes(file) <= MAX_PATH_BYTES;
    }

    private static int bytes(Path path) {
        return path.toString().getBytes(StandardCharsets.UTF_8).length;
    }

    private SoftcallException failure(Path file, IOException e) {
        return Failures.of(uri(), file, e);
    }
}
