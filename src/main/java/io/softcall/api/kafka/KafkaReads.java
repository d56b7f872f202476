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
 * Ready while every topic can be read. An unavailable broker does not change readiness, as with a store: it must not
 * take every instance out of service at once. A broker that refuses reads or writes for a while does, because an
 * operator has to act.
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
                    failing.map(time -> "has failed for %d s".formatted(time.toSeconds()))
                            .orElse("read"));
            up &= reads;
        }
        return response.status(up).build();
    }
}
