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
 * Lists the files of a tree in the order of their keys, as S3 does. Of each folder on the way the names are read, and only those
 * entries are looked at that a page is about: others write to the tree meanwhile, and entries that vanish, loop, lead nowhere or
 * may not be read are passed over.
 */
final class FolderListing {

    private static final Logger LOG = Logger.getLogger(FolderListing.class);
    private static final RareLog RARELY = new RareLog(LOG);

    /** Levels of folders in which objects are listed. */
    private static final int MAX_DEPTH = 32;

    /** Entries that one page looks at beside those that belong to what it gives. */
    private static final int MAX_LOOKED_AT = 2_000;

    /** Smaller folders are read as fast as they are found here. */
    private static final int LARGE = 256;

    /** Memory for the names of large folders: those of some 100,000 tasks. */
    private static final long MAX_REMEMBERED_BYTES = 8 << 20;

    private static final int NAME_BYTES = 56;

    private final Path root;
    /** Reading and sorting 30,000 names takes 50 ms, and is needed for each page. */
    private final Cache<Path, Names> large = Caffeine.newBuilder()
            .maximumWeight(MAX_REMEMBERED_BYTES)
            .weigher((Path folder, Names names) -> names.bytes())
            .build();

    /**
     * What is in a folder.
     *
     * @param folder the folder's own state; names are added and removed with a change of its time
     * @param segments names with a {@code /} behind each, in the order of keys
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
     * As {@link Store#list}.
     *
     * @throws IOException when the root cannot be read, or what is below it for another reason than those above
     */
    Store.Page list(String prefix, String suffix, String after, int limit) throws IOException {
        Walk walk = new Walk(prefix, suffix.substring(1), after, limit);
        boolean ended = walk.folder(root, "", Files.readAttributes(root, BasicFileAttributes.class));
        return new Store.Page(walk.entries, ended ? Optional.empty() : Optional.of(walk.last), walk.whole);
    }

    /** One page. */
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
        /** Everything up to here was looked at. */
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
         * @param key of the folder: empty, or with a {@code /} at the end
         * @return whether the folder was looked at to its end
         */
        boolean folder(Path folder, String key, BasicFileAttributes attributes) throws IOException {
            List<String> segments = names(folder, attributes).segments();
            above.push(identity(folder, attributes));
            try {
                String start = segment(key, prefix);
                int from = Math.max(lowerBound(segments, start), lowerBound(segments, segment(key, after)));
                // With the suffix's own '/' before its name, none lies in the root.
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
            // The character that follows '/': behind all keys of this entry, and before those of the next.
            last = key.substring(0, key.length() - 1) + '0';
            return true;
        }

        private boolean descend(Path folder, String key, BasicFileAttributes attributes) throws IOException {
            try {
                return folder(folder, key, attributes);
            } catch (AccessDeniedException e) {
                passOver(folder.getParent(), folder, e);
            } catch (NoSuchFileException | NotDirectoryException e) {
                // It was another thing a moment ago.
            }
            return true;
        }

        /** Empty for what is not there, and for what is passed over. */
        private Optional<BasicFileAttributes> attributes(Path folder, String name) throws IOException {
            Path entry;
            try {
                entry = folder.resolve(name);
            } catch (InvalidPathException e) {
                // A name in another encoding than this process has.
                return Optional.empty();
            }
            try {
                return Optional.of(Files.readAttributes(entry, BasicFileAttributes.class));
            } catch (NoSuchFileException e) {
                return Optional.empty();
            } catch (AccessDeniedException e) {
                passOver(folder, entry, e);
                return Optional.empty();
            } catch (IOException e) {
                if (Files.isSymbolicLink(entry)) {
                    return Optional.empty();
                }
                throw e;
            }
        }

        private void passOver(Path folder, Path entry, IOException e) {
            whole = false;
            RARELY.warn(folder, "%s is left out of listings: %s".formatted(entry, e));
        }
    }

    /** What there is below {@code key} on the way to {@code whole}: a segment with its {@code /}, or the rest; empty beside that way. */
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
