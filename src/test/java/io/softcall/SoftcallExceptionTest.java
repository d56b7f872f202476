package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException.Reason;
import org.junit.jupiter.api.Test;

/** The parts of an error that everybody may read, and those for operators only. */
class SoftcallExceptionTest {

    private static final RuntimeException CAUSE = new RuntimeException("cause");

    @Test
    void theWholeIsTheMessageAndItsDetail() {
        SoftcallException e = new SoftcallException(Reason.STORE_DENIED, "the store refuses access", CAUSE)
                .withDetail("store %s", "s3://bucket/");
        assertEquals("the store refuses access (store s3://bucket/)", e.getMessage());
        assertEquals("the store refuses access", e.publicMessage());
        assertEquals("store s3://bucket/", e.detail());
        assertSame(CAUSE, e.getCause());
        assertEquals(e.getMessage(), e.again().getMessage());
        assertEquals(e.publicMessage(), e.again().publicMessage());
    }

    @Test
    void withoutADetailTheyAreTheSame() {
        SoftcallException e = SoftcallException.invalid("input is %s", "null");
        assertEquals("input is null", e.getMessage());
        assertEquals("input is null", e.publicMessage());
        assertEquals("", e.detail());
    }

    @Test
    void bothAreOneShortLine() {
        SoftcallException e =
                new SoftcallException(Reason.STORE_UNAVAILABLE, "a\nb").withDetail("%s", "c\r".repeat(999));
        assertEquals("a\\nb", e.publicMessage());
        assertTrue(e.detail().length() <= Printable.MAX_LENGTH, e::detail);
    }
}
