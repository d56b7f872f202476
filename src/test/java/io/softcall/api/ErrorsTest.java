package io.softcall.api;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ErrorsTest {

    @ParameterizedTest
    @CsvSource({"0, 1", "1, 1", "1000, 1", "1001, 2", "7200, 8", "60000, 60", "60001, 60", "86400000, 60"})
    void retryAfterIsTheBacklogInWholeSecondsFromOneToSixty(long backlogMs, String seconds) {
        assertEquals(
                Map.of("Retry-After", seconds),
                Errors.headers(SoftcallException.overloaded("full", Duration.ofMillis(backlogMs))));
    }

    @Test
    void theCauseIsFoundUnderThoseThatCarryIt() {
        SoftcallException problem = SoftcallException.invalid("no");
        assertEquals(problem, Errors.unwrap(new CompletionException(new IllegalStateException(problem))));
        SoftcallException unknown = Errors.unwrap(new CompletionException(new IllegalStateException("secret")));
        assertEquals(Reason.INTERNAL, unknown.reason());
        assertEquals("the server failed", unknown.publicMessage());
    }
}
