package io.softcall.api.kafka;

import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithDefault;
import java.util.Optional;

/** Which topics are read and written, once {@code kafka.bootstrap.servers} says where they are. */
@ConfigMapping(prefix = "softcall.kafka")
public interface KafkaConfig {

    /** The topic of requests. */
    @WithDefault("softcall.classify")
    String requests();

    /** The topic of answers. */
    @WithDefault("softcall.classified")
    String answers();

    /** The topic of requests that cannot be answered, with the reason in their headers. */
    @WithDefault("softcall.dead-letters")
    String deadLetters();

    /** The topic of storage events, whose files are classified. None: files are not read from Kafka. */
    Optional<String> files();

    /** The topic that is told how jobs ended. */
    @WithDefault("softcall.jobs")
    String jobs();

    /** Processes of one group share the partitions. */
    @WithDefault("softcall")
    String group();

    /** Records under way at once, and so the most that a crash repeats. */
    @WithDefault("384")
    int recordsInFlight();
}
