package io.softcall.store.mirror;

import io.softcall.store.Location;
import java.io.IOException;
import java.util.Optional;

/** Operations on a mirror outside of the server that uses it. */
public final class Mirrors {

    private Mirrors() {}

    /**
     * Makes the previous version of an object the current one. A running server notices it in its next round.
     *
     * @param uri the address of the mirror, as in {@code softcall.store.uri}
     * @return the version that is current from now on; empty if there is no previous one, and then nothing is changed
     * @throws IllegalArgumentException if the address is not that of a mirror
     * @throws IOException if the mirror's folder cannot be read or written
     */
    public static Optional<String> rollBack(String uri, String key) throws IOException {
        String setting = "softcall.store.uri";
        Location.Mirror mirror = Location.Mirror.of(setting, uri)
                .orElseThrow(() -> new IllegalArgumentException(
                        "%s=%s: only a mirror keeps previous versions; expected mirror:s3://bucket/prefix?dir=/dir"
                                .formatted(setting, uri)));
        return new MirrorFolder(mirror.folder(), Long.MAX_VALUE).rollBack(key).map(MirrorFolder.Version::sha256);
    }
}
