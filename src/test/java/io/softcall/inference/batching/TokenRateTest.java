package io.softcall.inference.batching;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/** How many tokens a batch may have that takes no longer than a time. */
class TokenRateTest {

    private static final Duration TIME = Duration.ofMillis(30);

    private final TokenRate rate = new TokenRate();

    /** A millisecond each. */
    @Test
    void withoutABatchATimeIsAssumed() {
        assertEquals(30, rate.tokensIn(TIME));
    }

    @Test
    void batchesOfOneSizeTellTheTimeOfATokenOnly() {
        for (int i = 0; i < 5; i++) {
            rate.record(40, 20_000_000);
        }
        assertEquals(60, rate.tokensIn(TIME));
    }

    /** Small batches say that a token takes long, but most of their time is the overhead. */
    @Test
    void theOverheadIsNoTimeOfTokens() {
        for (int tokens : new int[] {1, 200, 4, 64, 1, 1, 2}) {
            rate.record(tokens, 10_000_000 + 250_000L * tokens);
        }
        assertEquals(80, rate.tokensIn(TIME));
    }

    @Test
    void aTimeThatIsTooShortStillHasSomeTokens() {
        rate.record(1, 10_000_000);
        rate.record(101, 35_000_000);
        assertEquals(16, rate.tokensIn(Duration.ofMillis(1)));
    }
}
