package io.softcall.api.kafka;

import jakarta.enterprise.inject.Instance;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import org.eclipse.microprofile.health.HealthCheck;
import org.eclipse.microprofile.health.HealthCheckResponse;
import org.eclipse.microprofile.health.HealthCheckResponseBuilder;
import org.eclipse.microprofile.health.Readiness;

/**
 * Ready while every topic that is to be read can be read. A broker that is away is waited for, as a store is: it must not take every
 * instance out of service at once. One that refuses what is read or written for a while needs somebody to look.
 */
@Readiness
@Singleton
class KafkaReads implements HealthCheck {

    private static final Duration TOLERATED = Duration.ofSeconds(20);

    private final Optional<String> servers;
    private final Instance<Kafka> kafka;

    KafkaReads(@ConfigProperty(name = "kafka.bootstrap.servers") Optional<String> servers, Instance<Kafka> kafka) {
        this.servers = servers;
        this.kafka = kafka;
    }

    @Override
    public HealthCheckResponse call() {
        HealthCheckResponseBuilder response = HealthCheckResponse.named("kafka");
        List<KafkaLoop<?>> loops = servers.map(named -> kafka.get().loops()).orElse(List.of());
        boolean up = true;
        for (KafkaLoop<?> loop : loops) {
            Optional<Duration> failing = loop.failingFor();
            boolean reads = loop.isAlive()
                    && failing.filter(time -> time.compareTo(TOLERATED) > 0).isEmpty();
            response.withData(
                    loop.topic(),
                    failing.map(time -> "fails since %d s".formatted(time.toSeconds()))
                            .orElse("read"));
            up &= reads;
        }
        return response.status(up).build();
    }
}
