package io.softcall.store.opening;

import io.softcall.store.Bucket;
import io.softcall.store.Location;
import io.softcall.store.folder.FolderBucket;
import io.softcall.store.s3.S3Bucket;
import io.softcall.store.s3.S3Clients;
import jakarta.enterprise.inject.Instance;
import jakarta.inject.Singleton;

/** Opens buckets by their addresses. */
@Singleton
public class Buckets {

    private final Instance<S3Clients> s3;

    Buckets(Instance<S3Clients> s3) {
        this.s3 = s3;
    }

    /**
     * Opens a bucket.
     *
     * @param setting the name of the setting that has the address, for the message
     * @param uri {@code s3://bucket/prefix} or {@code file:/dir}
     * @throws IllegalArgumentException if the address is neither
     */
    public Bucket open(String setting, String uri) {
        return switch (Location.of(setting, uri)) {
            case Location.S3(String bucket, String prefix) ->
                new S3Bucket(s3.get().client(), bucket, prefix);
            case Location.Folder folder -> new FolderBucket(folder.path());
        };
    }
}
