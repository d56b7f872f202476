package io.softcall.function;

import io.micrometer.core.instrument.binder.jvm.JvmGcMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;

/** What {@code /q/metrics} says of the JVM. All that Quarkus would bind, its heap pressure above all, takes a tenth of the start. */
final class JvmMetrics {

    @Produces
    @Singleton
    JvmMemoryMetrics memory() {
        return new JvmMemoryMetrics();
    }

    @Produces
    @Singleton
    JvmGcMetrics collections() {
        return new JvmGcMetrics();
    }

    @Produces
    @Singleton
    JvmThreadMetrics threads() {
        return new JvmThreadMetrics();
    }
}
