package io.softcall.store;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Path;

/** Turns failures of stores into exceptions. */
public final class Failures {

    private Failures() {}

    /**
     * Returns the exception for a store that did not answer in time.
     *
     * @param uri the address of the store
     */
    public static SoftcallException late(String uri) {
        return new SoftcallException(
                        Reason.STORE_UNAVAILABLE, "the store did not answer in time (softcall.store.timeout)")
                .withDetail("store %s", uri);
    }

    /**
     * Returns the exception for a store that did not send a content in time.
     *
     * @param uri the address of the store
     */
    public static SoftcallException lateTransfer(String uri) {
        return new SoftcallException(
                        Reason.STORE_UNAVAILABLE,
                        "the store did not send the artifact in time (softcall.store.transfer-time)")
                .withDetail("store %s", uri);
    }

    /**
     * Returns the exception for a failure of a folder: {@code STORE_DENIED} if access was denied, otherwise
     * {@code STORE_UNAVAILABLE}.
     *
     * @param uri the address of the store
     * @param file the file that should be read or written
     */
    public static SoftcallException of(String uri, Path file, IOException e) {
        return e instanceof AccessDeniedException
                ? new SoftcallException(Reason.STORE_DENIED, "the store refuses access", e)
                        .withDetail("store %s: no permission for %s", uri, file)
                : new SoftcallException(Reason.STORE_UNAVAILABLE, "the store cannot be used", e)
                        .withDetail("store %s: %s", uri, e);
    }
}
