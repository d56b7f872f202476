package io.softcall.jobs;

import io.quarkus.runtime.annotations.RegisterForReflection;

/**
 * One version of one file.
 *
 * @param etag the object's version
 */
@RegisterForReflection
record Input(String bucket, String key, String etag, long bytes) {

    Input {
        if (bucket == null || key == null || etag == null || bytes < 0) {
            throw new IllegalArgumentException("a file has a bucket, a key, a version and a size");
        }
    }

    /** The job's id, and the folder of its results. */
    String job() {
        return key + "/" + etag;
    }
}
