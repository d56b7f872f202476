package io.softcall.store;

import io.quarkus.runtime.configuration.MemorySize;
import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithDefault;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** Where artifacts live, and how fresh they must be. */
@ConfigMapping(prefix = "softcall.store")
public interface StoreConfig {

    /** {@code s3://bucket/prefix}, {@code file:/dir}, or a local copy of either: {@code mirror:s3://bucket/prefix?dir=/dir}. */
    @WithDefault("file:tasks")
    String uri();

    /** How long an answer of the store may be reused. 0 s: never, each call asks again. */
    @WithDefault("0s")
    Duration maxAge();

    /** How long the last good version may answer while the store fails or holds a refused artifact. */
    @WithDefault("0s")
    Duration staleIfError();

    /** Time for one question to the store, retries included. */
    @WithDefault("1500ms")
    Duration timeout();

    /** Larger artifacts are refused without being transferred. */
    @WithDefault("16M")
    MemorySize maxArtifactBytes();

    /** Memory for parsed artifacts; the least used leave first. */
    @WithDefault("256M")
    MemorySize cacheBytes();

    /** Ed25519 public keys, base64, one of which must have signed a prompt; none: signatures are not asked for. */
    Optional<List<String>> signedBy();

    Mirror mirror();

    /** A local copy of a store. */
    interface Mirror {
        /** How often the store is asked what is new. */
        @WithDefault("60s")
        Duration interval();

        /** Disk for copies; versions that were replaced leave first. */
        @WithDefault("256M")
        MemorySize maxBytes();
    }
}
