package io.softcall.store.s3;

import io.softcall.SoftcallException;

/**
 * Versions of objects in S3: ETags without their quotes, fit for a key and a header. A weak one ({@code W/"x"}, as proxies make them
 * that compress) is {@code W-x} here, and goes back to the server as it came.
 */
final class ETag {

    private static final int MAX_LENGTH = 200;
    private static final String WEAK = "W/";
    private static final String WEAK_VERSION = "W-";

    private ETag() {}

    /**
     * @param uri of the store, for the message
     * @param header as the server sent it; null where it sent none
     * @throws SoftcallException {@code STORE_UNAVAILABLE} when there is none: nobody could ask whether the object still is the same
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

    /** What {@code If-None-Match} and {@code If-Match} say. */
    static String header(String version) {
        return version.startsWith(WEAK_VERSION)
                ? WEAK + '"' + version.substring(WEAK_VERSION.length()) + '"'
                : '"' + version + '"';
    }
}
