package io.softcall.store;

import io.softcall.SoftcallException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/** A place that holds objects by key. All calls block; {@link #get} takes no longer than {@code softcall.store.timeout}. */
public interface Store {

    /** What the store says of one object. */
    sealed interface Answer {}

    /** The object still is the version that the caller knows. */
    record Unchanged() implements Answer {}

    /**
     * The object as it is now. The caller owns {@code bytes}.
     *
     * @param modified when it was stored
     */
    record Found(String version, Instant modified, byte[] bytes) implements Answer {}

    /** The object exists and is larger than the store hands out; nothing was transferred. */
    record TooLarge(String version, long bytes, long limit) implements Answer {}

    /** The object is not what was stored: somebody, or a fault, has changed its bytes since. */
    record Damaged(String version, String reason) implements Answer {}

    /** There is no such object. */
    record Missing() implements Answer {}

    /**
     * An object in a listing.
     *
     * @param modified when it was stored
     */
    record Entry(String key, Instant modified) {}

    /**
     * Objects in ascending order of their keys' UTF-8 bytes.
     *
     * @param next the key to pass as {@code after} for what follows, of which there may be nothing; empty at the end
     * @param whole false where something could not be looked at: what is missing here may be there all the same
     */
    record Page(List<Entry> entries, Optional<String> next, boolean whole) {
        public Page {
            entries = List.copyOf(entries);
        }
    }

    /**
     * Reads one object, unless it still is the version that the caller knows.
     *
     * @param key path below the store's root, with {@code /} between segments
     * @param known a version from an earlier {@link Found} for which {@link Unchanged} is a good answer
     * @param lease takes room for the content, until the caller closes it
     * @throws SoftcallException {@code STORE_UNAVAILABLE}, {@code STORE_DENIED} or {@code OVERLOADED}; from a mirror also {@code
     *     ARTIFACT_REFUSED}
     */
    Answer get(String key, Optional<String> known, Loading.Lease lease);

    /**
     * Lists objects whose keys begin with {@code prefix} and end in {@code suffix}. What it costs depends on what it gives, not on
     * what the store holds: it looks past a bounded number of other objects, and may give fewer than there are, or none.
     *
     * @param suffix {@code /} and a name: the last segment of the keys
     * @param after only keys greater than this one; empty for all
     * @param limit at most this many
     * @throws SoftcallException {@code STORE_UNAVAILABLE} or {@code STORE_DENIED}
     */
    Page list(String prefix, String suffix, String after, int limit);

    /** The store's address as people write it. */
    String uri();

    /** How long ago {@link #get}'s answer about an object was true; empty for a store that is itself asked. */
    default Optional<Duration> age(String key) {
        return Optional.empty();
    }
}
