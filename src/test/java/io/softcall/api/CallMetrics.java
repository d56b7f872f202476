package io.softcall.api;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.function.DoubleSupplier;

/** The server's own metrics of calls and their inputs. */
public record CallMetrics(MeterRegistry metrics) {

    /** Returns the number of inputs that wait for a batch. */
    public double waiting() {
        return metrics.get("softcall.queue.rows").gauge().value();
    }

    public double calls(String outcome) {
        return metrics.counter("softcall.calls", "outcome", outcome).count();
    }

    public double rowsRun() {
        DistributionSummary rows = metrics.get("softcall.batch.rows").summary();
        return rows.totalAmount();
    }

    /** Waits for at most five seconds. */
    public static void await(double expected, DoubleSupplier value) throws InterruptedException {
        for (int i = 0; i < 500 && value.getAsDouble() != expected; i++) {
            Thread.sleep(10);
        }
        assertEquals(expected, value.getAsDouble());
    }
}
