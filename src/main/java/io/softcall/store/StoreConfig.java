package io.softcall.store;

import io.quarkus.runtime.configuration.MemorySize;
import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithDefault;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** The store of artifacts, and the required freshness. */
@ConfigMapping(prefix = "softcall.store")
public interface StoreConfig {

    /**
     * The address: {@code s3://bucket/prefix}, {@code file:/dir}, or a local copy of either,
     * {@code mirror:s3://bucket/prefix?dir=/dir}.
     */
    @WithDefault("file:tasks")
    String uri();

    /** How long an answer of the store may be reused; 0 s: each call asks the store. */
    @WithDefault("0s")
    Duration maxAge();

    /** How long the last good version may answer while the store fails or holds a refused artifact. */
    @WithDefault("0s")
    Duration staleIfError();

    /** The time limit until the first byte of an answer of the store, retries included. */
    @WithDefault("1500ms")
    Duration timeout();

    /** The time limit for the rest of an answer: the transfer of an artifact. */
    @WithDefault("30s")
    Duration transferTime();

    /** The size of the largest artifact. Larger ones are refused before they are transferred. */
    @WithDefault("64M")
    MemorySize maxArtifactBytes();

    /** The bound on memory for parsed artifacts; the least used ones are evicted first. */
    @WithDefault("256M")
    MemorySize cacheBytes();

    /** Ed25519 public keys in base64, one of which must have signed each prompt; none: signatures are not required. */
    Optional<List<String>> signedBy();

    Mirror mirror();

    /** The settings of a local copy of a store. */
    interface Mirror {
        /** The interval at which the mirror asks the store for changes. */
        @WithDefault("60s")
        Duration interval();

        /** The bound on disk space for copies; replaced versions are deleted first. */
        @WithDefault("256M")
        MemorySize maxBytes();
    }
}
