package io.softcall.inference.sampling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.inference.sampling.Choices.Position;
import java.util.List;
import org.junit.jupiter.api.Test;

/** An answer that is one of several texts. */
class ChoicesTest {

    private static final int END = 0;

    private final Choices choices =
            new Choices(List.of(new long[] {5, 6}, new long[] {5, 6, 7}, new long[] {5, 9}, new long[] {4}));

    @Test
    void tokensContinueAChoice() {
        assertPermitted(choices.start(), 4, 5);
        assertPermitted(choices.start().after(5), 6, 9);
        assertFalse(choices.start().isEnd());
        assertTrue(choices.start().after(4).isEnd());
        assertTrue(choices.start().after(5).after(9).isEnd());
    }

    @Test
    void aChoiceThatBeginsAnotherMayEndOrGoOn() {
        Position both = choices.start().after(5).after(6);
        assertFalse(both.isEnd());
        assertPermitted(both, 7, END);
        assertTrue(both.after(7).isEnd());
    }

    @Test
    void anotherTokenIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> choices.start().after(6));
        assertThrows(IllegalStateException.class, () -> choices.start().after(4).permitted(END));
    }

    @Test
    void everyChoiceHasTokens() {
        assertThrows(IllegalArgumentException.class, () -> new Choices(List.of()));
        assertThrows(IllegalArgumentException.class, () -> new Choices(List.of(new long[] {1}, new long[0])));
    }

    private static void assertPermitted(Position position, int... ids) {
        Permitted.Only only = (Permitted.Only) position.permitted(END);
        assertArrayEquals(ids, only.ids());
        assertEquals(ids.length, only.ids().length);
    }
}
