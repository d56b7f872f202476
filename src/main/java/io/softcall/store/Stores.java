package io.softcall.store;

import io.quarkus.runtime.Startup;
import jakarta.enterprise.inject.Instance;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;

/** Opens the store that {@code softcall.store.uri} names. */
final class Stores {

    @Produces
    @Singleton
    @Startup
    Store store(StoreConfig config, Instance<S3Clients> s3) {
        long maxBytes = config.maxArtifactBytes().asLongValue();
        return switch (Location.of("softcall.store.uri", config.uri())) {
            case Location.S3(String bucket, String prefix) ->
                new S3Store(s3.get(), bucket, prefix, maxBytes, config.timeout());
            case Location.Folder folder -> new FileStore(folder.path(), maxBytes);
        };
    }
}
