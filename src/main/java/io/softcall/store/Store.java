package io.softcall.store;

import io.softcall.SoftcallException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** A place that holds objects by key. All calls block; none takes longer than {@code softcall.store.timeout}. */
public interface Store {

    /** What the store says of one object. */
    sealed interface Answer {}

    /** The object still is the version that the caller knows. */
    record Unchanged() implements Answer {}

    /** The object as it is now. The caller owns {@code bytes}. */
    record Found(String version, byte[] bytes) implements Answer {}

    /** The object exists and is larger than the store hands out; nothing was transferred. */
    record TooLarge(String version, long bytes, long limit) implements Answer {}

    /** The object is not what was stored: somebody, or a fault, has changed its bytes since. */
    record Damaged(String version, String reason) implements Answer {}

    /** There is no such object. */
    record Missing() implements Answer {}

    /**
     * Keys in ascending order of their UTF-8 bytes.
     *
     * @param next the key to pass as {@code after} for the page that follows; empty at the end
     */
    record Page(List<String> keys, Optional<String> next) {
        public Page {
            keys = List.copyOf(keys);
        }
    }

    /**
     * Reads one object, unless it still is the version that the caller knows.
     *
     * @param key path below the store's root, with {@code /} between segments
     * @param known a version from an earlier {@link Found} for which {@link Unchanged} is a good answer
     * @throws SoftcallException {@code STORE_UNAVAILABLE} or {@code STORE_DENIED}; from a mirror also {@code ARTIFACT_REFUSED}
     */
    Answer get(String key, Optional<String> known);

    /**
     * Lists keys that end in {@code suffix}.
     *
     * @param after only keys greater than this one; empty for all
     * @param limit at most this many
     * @throws SoftcallException {@code STORE_UNAVAILABLE} or {@code STORE_DENIED}
     */
    Page list(String suffix, String after, int limit);

    /** The store's address as people write it. */
    String uri();

    /** How long ago {@link #get}'s answer about an object was true; empty for a store that is itself asked. */
    default Optional<Duration> age(String key) {
        return Optional.empty();
    }
}
