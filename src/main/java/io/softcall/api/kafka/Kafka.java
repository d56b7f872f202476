package io.softcall.api.kafka;

import io.micrometer.core.instrument.MeterRegistry;
import io.smallrye.common.annotation.Identifier;
import io.softcall.api.Coalescer;
import io.softcall.jobs.Jobs;
import io.softcall.jobs.run.JobsConfig;
import jakarta.enterprise.inject.Instance;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The topics that this process consumes. */
@Singleton
class Kafka {

    private static final Duration BETWEEN_POLLS = Duration.ofMillis(5);
    /** Longer, because jobs take seconds to hours. */
    private static final Duration BETWEEN_POLLS_OF_JOBS = Duration.ofMillis(100);

    private final List<KafkaLoop<?>> loops = new ArrayList<>();

    Kafka(
            KafkaConfig config,
            @Identifier("default-kafka-broker") Map<String, Object> client,
            Coalescer coalescer,
            JobsConfig jobsConfig,
            Instance<Jobs> jobs,
            MeterRegistry metrics) {
        KafkaTopic requests = new KafkaTopic(
                config.requests(),
                config.answers(),
                config.deadLetters(),
                config.group(),
                config.recordsInFlight() / KafkaLoop.CHUNKS,
                BETWEEN_POLLS);
        loops.add(new KafkaLoop<>(requests, new KafkaClassify(coalescer), client, metrics));
        config.files().ifPresent(name -> {
            if (jobsConfig.output().isEmpty()) {
                throw new IllegalArgumentException(
                        "softcall.kafka.files is %s, but jobs are off: set softcall.jobs.output to where results go"
                                .formatted(name));
            }
            KafkaTopic files = new KafkaTopic(
                    name, config.jobs(), config.deadLetters(), config.group() + "-files", 1, BETWEEN_POLLS_OF_JOBS);
            loops.add(new KafkaLoop<>(files, new KafkaJobs(jobs.get()), client, metrics));
        });
    }

    List<KafkaLoop<?>> loops() {
        return List.copyOf(loops);
    }

    void start() {
        loops.forEach(KafkaLoop::start);
    }

    void stop() {
        loops.forEach(KafkaLoop::stop);
        loops.forEach(KafkaLoop::awaitEnd);
    }
}
