package io.softcall.api.kafka;

import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithDefault;
import java.util.Optional;

/** Names of the topics. Kafka is used when {@code kafka.bootstrap.servers} is set. */
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

    /** The topic of storage events, whose files are classified. When absent, no files are read from Kafka. */
    Optional<String> files();

    /** The topic of the outcomes of jobs. */
    @WithDefault("softcall.jobs")
    String jobs();

    /** The consumer group, whose members share the partitions. */
    @WithDefault("softcall")
    String group();

    /** Maximum number of records in progress, which bounds the number of repeated answers after a crash. */
    @WithDefault("384")
    int recordsInFlight();
}
