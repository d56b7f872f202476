package io.softcall.store;

import java.net.URI;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Where objects lie: {@code s3://bucket/prefix} or {@code file:/dir}. */
sealed interface Location {

    /** @param prefix empty, or a key prefix that ends in {@code /} */
    record S3(String bucket, String prefix) implements Location {}

    record Folder(Path path) implements Location {}

    /**
     * A local copy of another place: {@code mirror:s3://bucket/prefix?dir=/dir}.
     *
     * @param folder where the copy is
     */
    record Mirror(Location origin, Path folder) {

        private static final String SCHEME = "mirror:";
        private static final Pattern URI = Pattern.compile(SCHEME + "(.+)\\?dir=(.+)");

        /**
         * Empty when the address is of another kind.
         *
         * @param setting the configuration's name for it, for the message
         * @throws IllegalArgumentException when it is of this kind, and incomplete
         */
        static Optional<Mirror> of(String setting, String uri) {
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

    Pattern S3_URI = Pattern.compile("s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/?");

    /**
     * @param setting the configuration's name for it, for the message
     * @throws IllegalArgumentException when the address is neither
     */
    static Location of(String setting, String uri) {
        Matcher matcher = S3_URI.matcher(uri);
        if (matcher.matches()) {
            String path = matcher.group(2);
            return new S3(matcher.group(1), path == null || path.isEmpty() ? "" : path + "/");
        }
        if (uri.startsWith("file:")) {
            String path = uri.startsWith("file:///") ? URI.create(uri).getPath() : uri.substring("file:".length());
            return new Folder(Path.of(path));
        }
        throw new IllegalArgumentException("%s=%s: expected s3://bucket/prefix or file:/dir".formatted(setting, uri));
    }
}
