package io.softcall.store.folder;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.softcall.RareLog;
import io.softcall.store.Store;
import io.softcall.store.Utf8Order;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import org.jboss.logging.Logger;

/**
 * Lists the files of a tree in the order of their keys, as S3 does. It reads the names in each folder on the way, and the
 * attributes of only those entries that a page needs. Others may write to the tree at the same time, so it skips entries that
 * vanish, loop, are broken links, or must not be read.
 */
final class FolderListing {

    private static final Logger LOG = Logger.getLogger(FolderListing.class);
    private static final RareLog RARELY = new RareLog(LOG);

    /** The number of levels of folders in which objects are listed. */
    private static final int MAX_DEPTH = 32;

    /** The number of entries that one page may look at in addition to two for each object of its limit. */
    private static final int MAX_LOOKED_AT = 2_000;

    /**
     * The smallest number of names for which a folder is cached. Smaller folders are read as fast as they are found in the
     * cache.
     */
    private static final int LARGE = 256;

    /** The bound on memory for the names in large folders, enough for about 100,000 tasks. */
    private static final long MAX_REMEMBERED_BYTES = 8 << 20;

    private static final int NAME_BYTES = 56;

    private final Path root;
    /** The names in large folders. Each page needs them, and reading and sorting 30,000 names takes 50 ms. */
    private final Cache<Path, Names> large = Caffeine.newBuilder()
            .maximumWeight(MAX_REMEMBERED_BYTES)
            .weigher((Path folder, Names names) -> names.bytes())
            .build();

    /**
     * The names in a folder.
     *
     * @param folder the state of the folder; its time changes when names are added or removed
     * @param segments names, each with a {@code /} at the end, in the order of keys
     */
    private record Names(State folder, List<String> segments) {

        int bytes() {
            return (int) Math.min(
                    Integer.MAX_VALUE,
                    segments.stream()
                            .mapToLong(segment -> NAME_BYTES + segment.length())
                            .sum());
        }
    }

    private record State(Object fileKey, FileTime modified) {}

    FolderListing(Path root) {
        this.root = root;
    }

    /**
     * Lists a page as {@link Store#list} does.
     *
     * @throws IOException if the root cannot be read, or an entry below it fails for another reason than those that are skipped
     */
    Store.Page list(String prefix, String suffix, String after, int limit) throws IOException {
        Walk walk = new Walk(prefix, suffix.substring(1), after, limit);
        boolean ended = walk.folder(root, "", Files.readAttributes(root, BasicFileAttributes.class));
        return new Store.Page(walk.entries, ended ? Optional.empty() : Optional.of(walk.last), walk.whole);
    }

    /** The walk through the tree that collects one page. */
    private final class Walk {

        private final String prefix;
        private final String file;
        private final String after;
        private final int limit;
        private final List<Store.Entry> entries = new ArrayList<>();
        /** Folders from the root down to the current one. */
        private final Deque<Object> above = new ArrayDeque<>();

        private boolean whole = true;
        private int mayLookAt;
        /** The position up to which everything was looked at. */
        private String last;

        Walk(String prefix, String file, String after, int limit) {
            this.prefix = prefix;
            this.file = file;
            this.after = after;
            this.limit = limit;
            this.mayLookAt = MAX_LOOKED_AT + 2 * limit;
            this.last = after;
        }

        /**
         * Collects the objects of a folder.
         *
         * @param key the key of the folder: empty, or with a {@code /} at the end
         * @return whether the walk reached the end of the folder
         */
        boolean folder(Path folder, String key, BasicFileAttributes attributes) throws IOException {
            List<String> segments = names(folder, attributes).segments();
            above.push(identity(folder, attributes));
            try {
                String start = segment(key, prefix);
                int from = Math.max(lowerBound(segments, start), lowerBound(segments, segment(key, after)));
                // The suffix begins with '/', so no object lies directly in the root.
                boolean fileIsAhead =
                        !key.isEmpty() && Collections.binarySearch(segments, file + "/", Utf8Order.COMPARATOR) >= 0;
                for (String segment : segments.subList(from, segments.size())) {
                    if (fileIsAhead && Utf8Order.COMPARATOR.compare(file, segment) < 0) {
                        fileIsAhead = false;
                        if (!file(folder, key + file)) {
                            return false;
                        }
                    }
                    if (!segment.startsWith(start)) {
                        return true;
                    }
                    if (!entry(folder, key + segment, segment)) {
                        return false;
                    }
                }
                return !fileIsAhead || file(folder, key + file);
            } finally {
                above.pop();
            }
        }

        private boolean file(Path folder, String key) throws IOException {
            if (!key.startsWith(prefix) || Utf8Order.COMPARATOR.compare(key, after) <= 0) {
                return true;
            }
            if (entries.size() == limit) {
                return false;
            }
            Optional<BasicFileAttributes> attributes = attributes(folder, file);
            if (attributes.filter(BasicFileAttributes::isRegularFile).isPresent()) {
                entries.add(
                        new Store.Entry(key, attributes.get().lastModifiedTime().toInstant()));
            }
            last = key;
            return true;
        }

        private boolean entry(Path folder, String key, String segment) throws IOException {
            if (entries.size() == limit || mayLookAt == 0) {
                return false;
            }
            mayLookAt--;
            String name = segment.substring(0, segment.length() - 1);
            Optional<BasicFileAttributes> attributes =
                    attributes(folder, name).filter(BasicFileAttributes::isDirectory);
            if (attributes.isPresent() && above.size() < MAX_DEPTH) {
                Path below = folder.resolve(name);
                boolean loops = above.contains(identity(below, attributes.get()));
                if (!loops && !descend(below, key, attributes.get())) {
                    return false;
                }
            }
            // '0' follows '/', so this position is after all keys of this entry, and before those of the next one.
            last = key.substring(0, key.length() - 1) + '0';
            return true;
        }

        private boolean descend(Path folder, String key, BasicFileAttributes attributes) throws IOException {
            try {
                return folder(folder, key, attributes);
            } catch (AccessDeniedException e) {
                skip(folder.getParent(), folder, e);
            } catch (NoSuchFileException | NotDirectoryException e) {
                // The folder was deleted or replaced meanwhile.
            }
            return true;
        }

        /** Returns the attributes of an entry; empty if it does not exist or is skipped. */
        private Optional<BasicFileAttributes> attributes(Path folder, String name) throws IOException {
            Path entry;
            try {
                entry = folder.resolve(name);
            } catch (InvalidPathException e) {
                // The name has another encoding than the names of this process.
                return Optional.empty();
            }
            try {
                return Optional.of(Files.readAttributes(entry, BasicFileAttributes.class));
            } catch (NoSuchFileException e) {
                return Optional.empty();
            } catch (AccessDeniedException e) {
                skip(folder, entry, e);
                return Optional.empty();
            } catch (IOException e) {
                if (Files.isSymbolicLink(entry)) {
                    return Optional.empty();
                }
                throw e;
            }
        }

        private void skip(Path folder, Path entry, IOException e) {
            whole = false;
            RARELY.warn(folder, "%s is left out of listings: %s".formatted(entry, e));
        }
    }

    /**
     * Returns the next segment of {@code whole} after {@code key}, with its {@code /}, or the rest; empty if {@code whole} does
     * not begin with {@code key}.
     */
    private static String segment(String key, String whole) {
        if (!whole.startsWith(key)) {
            return "";
        }
        int end = whole.indexOf('/', key.length());
        return end < 0 ? whole.substring(key.length()) : whole.substring(key.length(), end + 1);
    }

    private static int lowerBound(List<String> segments, String segment) {
        int found = Collections.binarySearch(segments, segment, Utf8Order.COMPARATOR);
        return found < 0 ? -found - 1 : found;
    }

    private static Object identity(Path folder, BasicFileAttributes attributes) {
        return attributes.fileKey() == null ? folder : attributes.fileKey();
    }

    private Names names(Path folder, BasicFileAttributes attributes) throws IOException {
        State state = new State(attributes.fileKey(), attributes.lastModifiedTime());
        Names remembered = large.getIfPresent(folder);
        if (remembered != null && remembered.folder().equals(state)) {
            return remembered;
        }
        Instant began = Instant.now();
        Names read = new Names(state, read(folder));
        if (read.segments().size() >= LARGE && FileStore.isSettled(state.modified(), began)) {
            large.put(folder, read);
        }
        return read;
    }

    private static List<String> read(Path folder) throws IOException {
        List<String> segments = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
            for (Path entry : entries) {
                segments.add(entry.getFileName() + "/");
            }
        } catch (DirectoryIteratorException e) {
            throw e.getCause();
        }
        segments.sort(Utf8Order.COMPARATOR);
        return segments;
    }
}
