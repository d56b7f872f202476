package io.softcall.store;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** A bucket that retries transient failures. */
public record RetryingBucket(Bucket bucket, RetryPolicy retryPolicy) implements Bucket {

    @Override
    public Optional<Stat> stat(String key) {
        return retryPolicy.call(() -> bucket.stat(key));
    }

    @Override
    public Optional<byte[]> read(String key, String version, long from, int length) {
        return retryPolicy.call(() -> bucket.read(key, version, from, length));
    }

    /**
     * Creates an object. May return false for an object that this call created, if the answer to an earlier attempt was lost.
     */
    @Override
    public boolean create(String key, Path content) {
        return retryPolicy.call(() -> bucket.create(key, content));
    }

    @Override
    public boolean create(String key, byte[] content) {
        return retryPolicy.call(() -> bucket.create(key, content));
    }

    @Override
    public List<String> list(String prefix, int limit) {
        return retryPolicy.call(() -> bucket.list(prefix, limit));
    }

    @Override
    public String uri() {
        return bucket.uri();
    }
}
