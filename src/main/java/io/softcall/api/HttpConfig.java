package io.softcall.api;

import io.quarkus.runtime.configuration.MemorySize;
import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithDefault;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** Limits and API keys of the entry points. */
@ConfigMapping(prefix = "softcall.http")
public interface HttpConfig {

    /** Maximum size of a request body; larger bodies are refused with 413. */
    @WithDefault("8M")
    MemorySize maxBodyBytes();

    /** Maximum size of the bodies of all calls in progress together; more are refused with 429. */
    @WithDefault("256M")
    MemorySize maxHeldBytes();

    /** Time for a request's body to arrive. After that the answer is 408, and the connection is closed. */
    @WithDefault("10s")
    Duration bodyTime();

    /** Time for a request's headers to arrive. After that the connection is closed. */
    @WithDefault("30s")
    Duration headerTime();

    /** Maximum number of open connections; further ones are closed. */
    @WithDefault("4096")
    int maxConnections();

    /** API keys by a name that the operator chooses. Without keys, every caller may call every task. */
    Map<String, Key> keys();

    /** One API key. */
    interface Key {
        /** Hexadecimal SHA-256 of the key. */
        String sha256();

        /** Names of the tasks that the key may call; a trailing {@code *} matches any rest. */
        @WithDefault("*")
        List<String> tasks();

        /** Whether the key may see metrics, the OpenAPI document and the store's location. */
        @WithDefault("false")
        boolean admin();
    }
}
