package io.softcall.store;

import java.net.URI;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The location of objects: {@code s3://bucket/prefix} or {@code file:/dir}. */
public sealed interface Location {

    /** @param prefix empty, or a key prefix that ends with {@code /} */
    record S3(String bucket, String prefix) implements Location {}

    record Folder(Path path) implements Location {}

    /**
     * A local copy of another location: {@code mirror:s3://bucket/prefix?dir=/dir}.
     *
     * @param folder the folder of the copy
     */
    record Mirror(Location origin, Path folder) {

        private static final String SCHEME = "mirror:";
        private static final Pattern URI = Pattern.compile(SCHEME + "(.+)\\?dir=(.+)");

        /**
         * Parses the address of a mirror; empty if the address is of another kind.
         *
         * @param setting the name of the setting that has the address, for the message
         * @throws IllegalArgumentException if it is the address of a mirror, and incomplete
         */
        public static Optional<Mirror> of(String setting, String uri) {
            if (!uri.startsWith(SCHEME)) {
                return Optional.empty();
            }
            Matcher matcher = URI.matcher(uri);
            if (!matcher.matches()) {
                throw new IllegalArgumentException(
                        "%s=%s: expected mirror:s3://bucket/prefix?dir=/dir".formatted(setting, uri));
            }
            return Optional.of(new Mirror(Location.of(setting, matcher.group(1)), Path.of(matcher.group(2))));
        }
    }

    String FOLDER_SCHEME = "file:";
    String S3_SCHEME = "s3://";

    Pattern S3_URI = Pattern.compile(S3_SCHEME + "([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/?");

    /**
     * Parses an address.
     *
     * @param setting the name of the setting that has the address, for the message
     * @throws IllegalArgumentException if the address is neither of S3 nor of a folder
     */
    public static Location of(String setting, String uri) {
        Matcher matcher = S3_URI.matcher(uri);
        if (matcher.matches()) {
            String path = matcher.group(2);
            return new S3(matcher.group(1), path == null || path.isEmpty() ? "" : path + "/");
        }
        if (uri.startsWith(FOLDER_SCHEME)) {
            String path =
                    uri.startsWith("file:///") ? URI.create(uri).getPath() : uri.substring(FOLDER_SCHEME.length());
            return new Folder(Path.of(path));
        }
        throw new IllegalArgumentException("%s=%s: expected s3://bucket/prefix or file:/dir".formatted(setting, uri));
    }

    /**
     * Returns the bucket of an address, as events and lists of buckets name it: the name of an S3 bucket, or the address of a
     * folder.
     *
     * @param setting as for {@link #of}
     * @throws IllegalArgumentException if the address is neither of S3 nor of a folder
     */
    static String bucket(String setting, String uri) {
        return of(setting, uri) instanceof S3(String bucket, String prefix) ? bucket : uri;
    }

    /** Returns the address of a bucket that an event names. */
    static String uri(String bucket) {
        return isFolder(bucket) ? bucket : S3_SCHEME + bucket;
    }

    /** Returns whether the bucket that an event names is a folder. */
    static boolean isFolder(String bucket) {
        return bucket.startsWith(FOLDER_SCHEME);
    }
}
