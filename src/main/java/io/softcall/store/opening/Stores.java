package io.softcall.store.opening;

import io.quarkus.runtime.Startup;
import io.softcall.store.Loading;
import io.softcall.store.Location;
import io.softcall.store.Store;
import io.softcall.store.StoreConfig;
import io.softcall.store.TimeLimits;
import io.softcall.store.folder.FileStore;
import io.softcall.store.mirror.Acceptance;
import io.softcall.store.mirror.MirrorFolder;
import io.softcall.store.mirror.MirrorStore;
import io.softcall.store.s3.S3Clients;
import io.softcall.store.s3.S3Store;
import jakarta.enterprise.inject.Disposes;
import jakarta.enterprise.inject.Instance;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.time.Duration;

/** Opens the store that {@code softcall.store.uri} names. */
final class Stores {

    private static final String SETTING = "softcall.store.uri";

    /**
     * The part of the heap for loading small contents. It is small, because parsing such a content takes up to five times its
     * bytes for a short time.
     */
    private static final int PART_FOR_SMALL = 16;

    /** The part of the heap for loading large contents, most of which is values; parsing takes twice their bytes. */
    private static final int PART_FOR_LARGE = 8;

    @Produces
    @Singleton
    Loading loading() {
        long heap = Runtime.getRuntime().maxMemory();
        return new Loading(heap / PART_FOR_SMALL, heap / PART_FOR_LARGE);
    }

    @Produces
    @Singleton
    @Startup
    Store store(StoreConfig config, Instance<S3Clients> s3, Instance<Acceptance> acceptance, Loading loading) {
        return Location.Mirror.of(SETTING, config.uri())
                .<Store>map(mirror -> {
                    Duration interval = config.mirror().interval();
                    return new MirrorStore(
                            open(mirror.origin(), config, MirrorStore.originTimeout(interval), s3),
                            new MirrorFolder(
                                    mirror.folder(), config.mirror().maxBytes().asLongValue()),
                            acceptance.get(),
                            loading,
                            interval,
                            config.timeout());
                })
                .orElseGet(() -> open(Location.of(SETTING, config.uri()), config, config.timeout(), s3));
    }

    /** @param timeout until the first byte of an answer */
    private static Store open(Location location, StoreConfig config, Duration timeout, Instance<S3Clients> s3) {
        long maxBytes = config.maxArtifactBytes().asLongValue();
        TimeLimits limits = new TimeLimits(timeout, config.transferTime());
        return switch (location) {
            case Location.S3(String bucket, String prefix) -> new S3Store(s3.get(), bucket, prefix, maxBytes, limits);
            case Location.Folder folder -> new FileStore(folder.path(), maxBytes, limits);
        };
    }

    /** Closes a mirror with the server, which ends its rounds. */
    void close(@Disposes Store store) {
        if (store instanceof MirrorStore mirror) {
            mirror.close();
        }
    }
}
