package io.softcall.api.kafka;

import io.quarkus.runtime.ShutdownEvent;
import io.quarkus.runtime.StartupEvent;
import jakarta.enterprise.event.Observes;
import jakarta.enterprise.inject.Instance;
import jakarta.inject.Singleton;
import java.util.Optional;
import org.eclipse.microprofile.config.inject.ConfigProperty;

/** Starts the consumers when a broker is configured. Otherwise no Kafka client is created. */
@Singleton
class KafkaStart {

    private final Optional<String> servers;
    private final Instance<Kafka> kafka;

    KafkaStart(@ConfigProperty(name = "kafka.bootstrap.servers") Optional<String> servers, Instance<Kafka> kafka) {
        this.servers = servers;
        this.kafka = kafka;
    }

    void start(@Observes StartupEvent event) {
        servers.ifPresent(named -> kafka.get().start());
    }

    void stop(@Observes ShutdownEvent event) {
        servers.ifPresent(named -> kafka.get().stop());
    }
}
