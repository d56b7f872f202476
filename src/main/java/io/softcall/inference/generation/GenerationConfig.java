package io.softcall.inference.generation;

import io.quarkus.runtime.configuration.MemorySize;
import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithDefault;
import java.time.Duration;

/** The settings of generation. */
@ConfigMapping(prefix = "softcall.generation")
public interface GenerationConfig {

    /**
     * The bound on the keys and values of all answers under way. An answer reserves what it can need at most; it waits until
     * that is free.
     */
    @WithDefault("512M")
    MemorySize kvBytes();

    /** How long a batch of texts may keep answers waiting for their next token. */
    @WithDefault("20ms")
    Duration maxPause();

    /** The time limit of a whole answer; {@code softcall.limits.call-time} is that of its first token. */
    @WithDefault("5m")
    Duration time();

    /** The bound on new tokens of an answer, and the default of chats. */
    @WithDefault("1024")
    int maxTokens();

    /** The number of answers under way at the same time, waiting ones included; others are answered 429. */
    @WithDefault("128")
    int streams();

    /** How long a caller may leave an answer unread before it is dropped. */
    @WithDefault("30s")
    Duration slowReader();
}
