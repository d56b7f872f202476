package io.softcall.store;

import io.quarkus.runtime.configuration.DurationConverter;
import io.quarkus.runtime.configuration.MemorySize;
import io.quarkus.runtime.configuration.MemorySizeConverter;
import io.smallrye.config.SmallRyeConfigBuilder;
import java.time.Duration;
import java.util.Map;

/** A store's configuration for tests without a server. */
public final class StoreSettings {

    private StoreSettings() {}

    /** The defaults, and these over them. */
    public static StoreConfig of(Map<String, String> settings) {
        return new SmallRyeConfigBuilder()
                .addDiscoveredConverters()
                .withConverter(MemorySize.class, 200, new MemorySizeConverter())
                .withConverter(Duration.class, 200, new DurationConverter())
                .withMapping(StoreConfig.class)
                .withDefaultValues(settings)
                .build()
                .getConfigMapping(StoreConfig.class);
    }
}
