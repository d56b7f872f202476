package io.softcall.inference.batching;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class DrainRateTest {

    private final DrainRate rate = new DrainRate();

    @Test
    void nothingIsKnownBeforeTheFirstBatch() {
        assertEquals(Duration.ZERO, rate.timeFor(100));
    }

    @Test
    void timeGrowsWithWhatWaits() {
        rate.record(2, Duration.ofSeconds(1).toNanos());
        assertEquals(Duration.ofSeconds(2), rate.timeFor(4));
        assertEquals(Duration.ZERO, rate.timeFor(0));
    }

    /** The rate is (7/8 x 8 s + 1 s) for (7/8 x 8 + 1) inputs. */
    @Test
    void aBatchWeighsSevenEighthsOfTheOneAfterIt() {
        rate.record(8, Duration.ofSeconds(8).toNanos());
        rate.record(1, Duration.ofSeconds(1).toNanos());
        assertEquals(Duration.ofSeconds(8), rate.timeFor(8));
        rate.record(7, 0);
        assertEquals(Duration.ofSeconds(1), rate.timeFor(2));
    }
}
