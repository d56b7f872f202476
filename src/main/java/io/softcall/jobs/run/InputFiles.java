package io.softcall.jobs.run;

import io.softcall.jobs.events.Event;
import io.softcall.store.Bucket;
import io.softcall.store.Location;
import io.softcall.store.RetryPolicy;
import io.softcall.store.RetryingBucket;
import io.softcall.store.opening.Buckets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentHashMap;

/** Opens the buckets that events name, and finds their objects. */
final class InputFiles {

    private final Buckets buckets;
    private final RetryPolicy retryPolicy;
    private final Map<String, Bucket> opened = new ConcurrentHashMap<>();

    InputFiles(Buckets buckets, RetryPolicy retryPolicy) {
        this.buckets = buckets;
        this.retryPolicy = retryPolicy;
    }

    /** @param name the name in the event: an S3 bucket, or {@code file:/dir} */
    Bucket bucket(String name) {
        return opened.computeIfAbsent(
                name,
                bucket -> new RetryingBucket(buckets.open("softcall.jobs.buckets", Location.uri(bucket)), retryPolicy));
    }

    /**
     * Returns the version in the event. Events about files in folders have none: Softcall defines these versions
     * itself.
     */
    static Optional<String> etag(Event.Created created) {
        return created.etag().filter(known -> !Location.isFolder(created.bucket()));
    }

    private record Found(String key, Bucket.Stat stat) {}

    /**
     * Returns the object's key. When a key can be decoded in several ways, it is the one that exists and matches the
     * event.
     */
    static String key(Bucket bucket, Event.Created created) {
        List<String> keys = created.keys();
        if (keys.size() == 1) {
            return keys.getFirst();
        }
        Optional<String> etag = etag(created);
        OptionalLong bytes = created.bytes();
        List<Found> found = new ArrayList<>();
        keys.stream().filter(KeyRules::isPossible).forEach(key -> bucket.stat(key)
                .ifPresent(stat -> found.add(new Found(key, stat))));
        return found.stream()
                .filter(one -> etag.isPresent() && one.stat().version().equals(etag.get()))
                .findFirst()
                .or(() -> found.stream()
                        .filter(one -> bytes.isPresent() && one.stat().bytes() == bytes.getAsLong())
                        .findFirst())
                .or(() -> found.stream().findFirst())
                .map(Found::key)
                .orElse(keys.getFirst());
    }
}
