package io.softcall.inference.opening;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.runtime.Startup;
import io.softcall.inference.cuda.Cuda;
import jakarta.inject.Singleton;
import java.util.function.ToDoubleFunction;

/** Metrics of the GPU's memory, including that of other processes; registered only if a GPU computes. */
@Startup
@Singleton
final class DeviceMemoryMetrics {

    DeviceMemoryMetrics(Opening opening, MeterRegistry metrics) {
        opening.cuda().ifPresent(cuda -> {
            register(metrics, "free", cuda, gpu -> gpu.memory().free());
            register(metrics, "total", cuda, gpu -> gpu.memory().total());
        });
    }

    private static void register(MeterRegistry metrics, String what, Cuda cuda, ToDoubleFunction<Cuda> bytes) {
        Gauge.builder("softcall.device.memory." + what, cuda, bytes)
                .baseUnit("bytes")
                .description(what + " memory of the GPU")
                .register(metrics);
    }
}
