package io.softcall.task;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;

/** A label head is a linear layer: its numbers are worked out by hand. */
class LabelHeadTest {

    private static final LabelHead HEAD =
            new LabelHead(List.of("a", "b", "long name"), new float[] {1, 2, 3, 4, 5, 6}, new float[] {.5f, 0, -1});

    @Test
    void logitsAreTheProductsWithEachRowAndItsBias() {
        assertArrayEquals(new float[] {210.5f, 430, 649}, HEAD.logits(new float[] {10, 100}));
        assertArrayEquals(new float[] {.5f, 0, -1}, HEAD.logits(new float[] {0, 0}));
    }

    /** In single precision the small terms would be lost one by one. */
    @Test
    void sumsAreOfDoublePrecision() {
        int hidden = 10_001;
        float[] ones = new float[hidden];
        java.util.Arrays.fill(ones, 1);
        ones[0] = 1 << 24;
        float[] row = new float[hidden];
        java.util.Arrays.fill(row, 1);
        LabelHead head = new LabelHead(List.of("only"), row, new float[] {0});
        assertArrayEquals(new float[] {(1 << 24) + 10_000}, head.logits(ones));
    }

    @Test
    void itWeighsItsNumbersAndItsNames() {
        LabelHead more = new LabelHead(
                List.of("a", "b", "long name"), new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9}, new float[] {0, 0, 0});
        assertEquals(3 * Float.BYTES, more.heapBytes() - HEAD.heapBytes());
        LabelHead longer = new LabelHead(
                List.of("a", "b", "long name and so on"), new float[] {1, 2, 3, 4, 5, 6}, new float[] {0, 0, 0});
        assertEquals(10 * Character.BYTES, longer.heapBytes() - HEAD.heapBytes());
    }

    @Test
    void sizesThatDoNotFit() {
        assertThrows(
                IllegalArgumentException.class,
                () -> new LabelHead(List.of("a", "b"), new float[] {1, 2, 3}, new float[] {0, 0}));
        assertThrows(
                IllegalArgumentException.class,
                () -> new LabelHead(List.of("a", "b"), new float[] {1, 2}, new float[] {0}));
    }
}
