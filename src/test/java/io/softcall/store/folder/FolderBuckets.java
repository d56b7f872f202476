package io.softcall.store.folder;

import io.softcall.store.Bucket;
import java.nio.file.Path;

/** Folders as buckets, for tests of what reads them. */
public final class FolderBuckets {

    private FolderBuckets() {}

    public static Bucket of(Path folder) {
        return new FolderBucket(folder);
    }
}
