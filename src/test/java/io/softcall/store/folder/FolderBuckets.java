package io.softcall.store.folder;

import io.softcall.store.Bucket;
import java.nio.file.Path;

/** Creates buckets on folders, for tests of their readers. */
public final class FolderBuckets {

    private FolderBuckets() {}

    public static Bucket of(Path folder) {
        return new FolderBucket(folder);
    }
}
