package io.softcall.store;

import io.softcall.SoftcallException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A bucket on S3, or a folder: what jobs read and write. All calls block. All throw {@link SoftcallException} with {@code
 * STORE_UNAVAILABLE} or {@code STORE_DENIED}.
 */
public interface Bucket {

    /**
     * An object as it is now.
     *
     * @param version another one whenever the content is; fit for a key
     */
    record Stat(String version, long bytes) {}

    /** Empty when there is no such object. */
    Optional<Stat> stat(String key);

    /**
     * Bytes of exactly this version.
     *
     * @param from less than the object's size
     * @param length at least 1; fewer bytes come only at the object's end
     * @return empty when the object is gone, or another version by now
     */
    Optional<byte[]> read(String key, String version, long from, int length);

    /**
     * Creates an object, unless there is one: of any number of callers at once, one succeeds.
     *
     * @return whether it was created by this call
     */
    boolean create(String key, Path content);

    /** The same, for small contents. */
    boolean create(String key, byte[] content);

    /** Keys that begin with {@code prefix}, in ascending order, {@code limit} at most; what was created before is among them. */
    List<String> list(String prefix, int limit);

    /** The address as people write it, with a {@code /} at the end. */
    String uri();
}
