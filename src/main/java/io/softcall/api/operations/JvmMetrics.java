package io.softcall.api.operations;

import io.micrometer.core.instrument.binder.jvm.JvmGcMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import io.quarkus.arc.properties.UnlessBuildProperty;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;

/**
 * Binds the JVM's metrics in {@code /q/metrics}. Quarkus would also bind the heap's pressure, which slows down each
 * start. A native executable does not report its collections, so those metrics would stay empty, and warn at each start.
 */
final class JvmMetrics {

    @Produces
    @Singleton
    JvmMemoryMetrics memory() {
        return new JvmMemoryMetrics();
    }

    @Produces
    @Singleton
    @UnlessBuildProperty(name = "quarkus.native.enabled", stringValue = "true", enableIfMissing = true)
    JvmGcMetrics collections() {
        return new JvmGcMetrics();
    }

    @Produces
    @Singleton
    JvmThreadMetrics threads() {
        return new JvmThreadMetrics();
    }
}
