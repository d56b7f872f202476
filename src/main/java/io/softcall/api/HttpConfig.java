package io.softcall.api;

import io.quarkus.runtime.configuration.MemorySize;
import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithDefault;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** What the entry points accept, and from whom. */
@ConfigMapping(prefix = "softcall.http")
public interface HttpConfig {

    /** Larger request bodies are answered 413. */
    @WithDefault("8M")
    MemorySize maxBodyBytes();

    /** Bodies of all calls under way, together; more are answered 429. */
    @WithDefault("256M")
    MemorySize maxHeldBytes();

    /** Time for a request's body to arrive; then 408, and the connection is closed. */
    @WithDefault("10s")
    Duration bodyTime();

    /** Time for a request's headers to arrive; then the connection is closed. */
    @WithDefault("30s")
    Duration headerTime();

    /** Connections at once; more are closed. */
    @WithDefault("4096")
    int maxConnections();

    /** API keys by a name of your choice. None: every caller may call every task. */
    Map<String, Key> keys();

    /** One API key. */
    interface Key {
        /** Hexadecimal SHA-256 of the key. */
        String sha256();

        /** Task names that it may call; a trailing {@code *} stands for any rest. */
        @WithDefault("*")
        List<String> tasks();

        /** Whether it may see metrics and the OpenAPI document, and where the store lies. */
        @WithDefault("false")
        boolean admin();
    }
}
