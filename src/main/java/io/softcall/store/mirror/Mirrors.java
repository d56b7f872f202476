package io.softcall.store.mirror;

import io.softcall.store.Location;
import java.io.IOException;
import java.util.Optional;

/** What may be done to a mirror from outside of the server that uses it. */
public final class Mirrors {

    private Mirrors() {}

    /**
     * Goes back to the version before. A server that runs sees it in its next round.
     *
     * @param uri the mirror's, as {@code softcall.store.uri} has it
     * @return the version that answers from now on; empty, and nothing done, when there is none before
     * @throws IllegalArgumentException when the address is no mirror's
     * @throws IOException when the mirror's folder cannot be read or written
     */
    public static Optional<String> rollBack(String uri, String key) throws IOException {
        String setting = "softcall.store.uri";
        Location.Mirror mirror = Location.Mirror.of(setting, uri)
                .orElseThrow(() -> new IllegalArgumentException(
                        "%s=%s: only a mirror keeps the version before; expected mirror:s3://bucket/prefix?dir=/dir"
                                .formatted(setting, uri)));
        return new MirrorFolder(mirror.folder(), Long.MAX_VALUE).rollBack(key).map(MirrorFolder.Version::sha256);
    }
}
