package io.softcall.store;

import io.quarkus.runtime.Startup;
import jakarta.enterprise.inject.Instance;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.net.URI;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Opens the store that {@code softcall.store.uri} names. */
final class Stores {

    private static final Pattern S3 = Pattern.compile("s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/?");

    @Produces
    @Singleton
    @Startup
    Store store(StoreConfig config, Instance<S3Clients> s3) {
        String uri = config.uri();
        long maxBytes = config.maxArtifactBytes().asLongValue();
        Matcher matcher = S3.matcher(uri);
        if (matcher.matches()) {
            String path = matcher.group(2);
            String prefix = path == null || path.isEmpty() ? "" : path + "/";
            return new S3Store(s3.get().client(), matcher.group(1), prefix, maxBytes);
        }
        if (uri.startsWith("file:")) {
            String path = uri.startsWith("file:///") ? URI.create(uri).getPath() : uri.substring("file:".length());
            return new FileStore(Path.of(path), maxBytes);
        }
        throw new IllegalArgumentException(
                "softcall.store.uri=%s: expected s3://bucket/prefix or file:/dir".formatted(uri));
    }
}
