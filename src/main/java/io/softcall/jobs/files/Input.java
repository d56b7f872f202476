package io.softcall.jobs.files;

import io.quarkus.runtime.annotations.RegisterForReflection;

/**
 * One version of one file.
 *
 * @param etag the object's version
 */
@RegisterForReflection
public record Input(String bucket, String key, String etag, long bytes) {

    public Input {
        if (bucket == null || key == null || etag == null || bytes < 0) {
            throw new IllegalArgumentException("a file has a bucket, a key, a version and a size");
        }
    }

    /** Returns the job's id, which is also the folder of its results. */
    public String job() {
        return key + "/" + etag;
    }
}
