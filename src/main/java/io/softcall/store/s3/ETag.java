package io.softcall.store.s3;

import io.softcall.SoftcallException;

/**
 * Versions of objects in S3: ETags without their quotes, which can be parts of keys and headers. A weak ETag ({@code W/"x"}, as
 * compressing proxies create them) is {@code W-x} here. The server gets it back as it sent it.
 */
final class ETag {

    private static final int MAX_LENGTH = 200;
    private static final String WEAK = "W/";
    private static final String WEAK_VERSION = "W-";

    private ETag() {}

    /**
     * Returns the version for an ETag header.
     *
     * @param uri the address of the store, for the message
     * @param header as the server sent it; null if it sent none
     * @throws SoftcallException {@code STORE_UNAVAILABLE} if there is no usable one, because the object could not be
     *     revalidated
     */
    static String version(String uri, String header) {
        boolean weak = header != null && header.startsWith(WEAK);
        String tag =
                header == null ? "" : header.substring(weak ? WEAK.length() : 0).replace("\"", "");
        if (tag.isBlank() || header.length() > MAX_LENGTH) {
            throw S3Failures.strange(
                    uri,
                    "answered without an ETag of at most %d characters, which names an object's version"
                            .formatted(MAX_LENGTH));
        }
        return weak ? WEAK_VERSION + tag : tag;
    }

    /** Returns the value of {@code If-None-Match} or {@code If-Match} for a version. */
    static String header(String version) {
        return version.startsWith(WEAK_VERSION)
                ? WEAK + '"' + version.substring(WEAK_VERSION.length()) + '"'
                : '"' + version + '"';
    }
}
