package io.softcall.api.openai;

import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithDefault;
import java.time.Duration;

/** The bounds of streams. */
@ConfigMapping(prefix = "softcall.generation")
public interface StreamConfig {

    /** The time without progress after which the connection of a caller that does not read is closed. */
    @WithDefault("30s")
    Duration slowReader();
}
