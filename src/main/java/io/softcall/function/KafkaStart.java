package io.softcall.function;

import io.quarkus.runtime.ShutdownEvent;
import io.quarkus.runtime.StartupEvent;
import jakarta.enterprise.event.Observes;
import jakarta.enterprise.inject.Instance;
import jakarta.inject.Singleton;
import java.util.Optional;
import org.eclipse.microprofile.config.inject.ConfigProperty;

/** Reads from Kafka where a broker is named. Elsewhere no client is made. */
@Singleton
class KafkaStart {

    private final Optional<String> servers;
    private final Instance<KafkaLoop> loop;

    KafkaStart(@ConfigProperty(name = "kafka.bootstrap.servers") Optional<String> servers, Instance<KafkaLoop> loop) {
        this.servers = servers;
        this.loop = loop;
    }

    void start(@Observes StartupEvent event) {
        servers.ifPresent(named -> loop.get().start());
    }

    void stop(@Observes ShutdownEvent event) {
        servers.ifPresent(named -> loop.get().stop());
    }
}
