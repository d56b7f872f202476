package io.softcall.store;

import io.softcall.SoftcallException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A bucket on S3, or a folder, which jobs read and write. All calls block. All throw {@link SoftcallException} with
 * {@code STORE_UNAVAILABLE} or {@code STORE_DENIED}.
 */
public interface Bucket {

    /**
     * The current state of an object.
     *
     * @param version an identifier of the content, which changes with the content, and can be a part of a key
     * @param bytes the size of the content
     */
    record Stat(String version, long bytes) {}

    /** Returns the state of an object; empty if there is no such object. */
    Optional<Stat> stat(String key);

    /**
     * Reads bytes of exactly this version.
     *
     * @param from the offset of the first byte, less than the object's size
     * @param length the number of bytes, at least 1; fewer are returned only at the end of the object
     * @return empty if the object no longer exists or has another version
     */
    Optional<byte[]> read(String key, String version, long from, int length);

    /**
     * Creates an object, unless it exists. If several callers create it at the same time, exactly one succeeds.
     *
     * @return whether this call created it
     */
    boolean create(String key, Path content);

    /** Creates an object from a small content, as {@link #create(String, Path)} does. */
    boolean create(String key, byte[] content);

    /**
     * Lists at most {@code limit} keys that begin with {@code prefix}, in ascending order. Objects that were created before the
     * call are included.
     */
    List<String> list(String prefix, int limit);

    /** Returns the address as people write it, with a {@code /} at the end. */
    String uri();
}
