package io.softcall.store;

import io.softcall.SoftcallException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/** A store of objects by key. All calls block. {@link #get} takes no longer than its {@link TimeLimits}. */
public interface Store {

    /** The store's answer about one object. */
    sealed interface Answer {}

    /** The object still has the version that the caller knows. */
    record Unchanged() implements Answer {}

    /**
     * The current version of the object. The caller owns {@code bytes}.
     *
     * @param modified the time when it was stored
     */
    record Found(String version, Instant modified, byte[] bytes) implements Answer {}

    /** The object is larger than the limit of the store; its content was not transferred. */
    record TooLarge(String version, long bytes, long limit) implements Answer {}

    /** The object is not what was stored: its bytes were changed afterwards, on purpose or by a fault. */
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
     * A page of a listing, in ascending order of the keys' UTF-8 bytes.
     *
     * @param next the {@code after} of the next page, which may be empty; no value at the end of the listing
     * @param whole false if something could not be read, so that objects may exist that are not listed
     */
    record Page(List<Entry> entries, Optional<String> next, boolean whole) {
        public Page {
            entries = List.copyOf(entries);
        }
    }

    /**
     * Reads one object, unless it still has the version that the caller knows.
     *
     * @param key the path below the store's root, with {@code /} between segments
     * @param known the version of an earlier {@link Found}; if the object still has it, the answer is {@link Unchanged}
     * @param lease reserves memory for the content, until the caller closes it
     * @throws SoftcallException {@code STORE_UNAVAILABLE}, {@code STORE_DENIED} or {@code OVERLOADED}; from a mirror also {@code
     *     ARTIFACT_REFUSED}
     */
    Answer get(String key, Optional<String> known, Loading.Lease lease);

    /**
     * Lists objects whose keys begin with {@code prefix} and end with {@code suffix}. A call skips a bounded number of other
     * objects, so its cost does not depend on the size of the store. It may therefore return fewer objects than exist, or none.
     *
     * @param suffix {@code /} and the last segment of the keys
     * @param after a key; only greater keys are listed; empty for all
     * @param limit the largest number of objects
     * @throws SoftcallException {@code STORE_UNAVAILABLE} or {@code STORE_DENIED}
     */
    Page list(String prefix, String suffix, String after, int limit);

    /** Returns the store's address as people write it. */
    String uri();

    /**
     * Returns how long ago the answer of {@link #get} about an object was last validated; empty for a store that is not a copy.
     */
    default Optional<Duration> age(String key) {
        return Optional.empty();
    }
}
