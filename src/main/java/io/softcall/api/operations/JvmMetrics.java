package io.softcall.api.operations;

import io.micrometer.core.instrument.binder.jvm.JvmGcMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;

/** What {@code /q/metrics} says of the JVM. Quarkus would also bind the heap's pressure, which is slow to set up at each start. */
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
