package io.softcall.jobs;

import io.softcall.store.Bucket;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** A bucket that is asked again while it does not answer. */
record PatientBucket(Bucket bucket, Patience patience) implements Bucket {

    @Override
    public Optional<Stat> stat(String key) {
        return patience.ask(() -> bucket.stat(key));
    }

    @Override
    public Optional<byte[]> read(String key, String version, long from, int length) {
        return patience.ask(() -> bucket.read(key, version, from, length));
    }

    /** May say no of an object that it created itself, when the answer to that was lost. */
    @Override
    public boolean create(String key, Path content) {
        return patience.ask(() -> bucket.create(key, content));
    }

    @Override
    public boolean create(String key, byte[] content) {
        return patience.ask(() -> bucket.create(key, content));
    }

    @Override
    public List<String> list(String prefix, int limit) {
        return patience.ask(() -> bucket.list(prefix, limit));
    }

    @Override
    public String uri() {
        return bucket.uri();
    }
}
