package io.softcall.inference.sampling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** What is kept and drawn, beside the plain way: sorting all weights, and adding them one by one. */
class SelectionTest {

    private static final Random RANDOM = new Random(20261201);

    @Test
    void theLargestAreThoseOfASort() {
        for (int run = 0; run < 2000; run++) {
            float[] weights = weights();
            int count = 1 + RANDOM.nextInt(weights.length);
            float[] kept = weights.clone();
            Selection.largest(weights.clone(), weights.length, count).retain(kept);
            assertArrayEquals(first(weights, count), kept);
        }
    }

    @Test
    void theLargestAreAmongTheSelected() {
        for (int run = 0; run < 2000; run++) {
            float[] weights = weights();
            int count = 1 + RANDOM.nextInt(weights.length / 40 + 1);
            float[] selected = new float[weights.length];
            int size = Weights.selectLargest(weights, count, selected);
            float[] kept = weights.clone();
            Selection.largest(selected, size, count).retain(kept);
            assertArrayEquals(first(weights, count), kept);
        }
    }

    /** The weights are multiples of a power of two, so that sums are exact in every order. */
    @Test
    void theNucleusIsThatOfASort() {
        for (int run = 0; run < 2000; run++) {
            float[] weights = weights();
            double mass = RANDOM.nextDouble() * Weights.sum(weights, 0, weights.length);
            double sum = 0;
            int count = 0;
            for (int id : sorted(weights)) {
                if (count > 0 && sum >= mass) {
                    break;
                }
                sum += weights[id];
                count++;
            }
            float[] kept = weights.clone();
            Selection.nucleus(weights.clone(), weights.length, mass).retain(kept);
            assertArrayEquals(first(weights, count), kept);
        }
    }

    @Test
    void aDrawIsThatOfASum() {
        for (int run = 0; run < 2000; run++) {
            float[] weights = weights();
            weights[RANDOM.nextInt(weights.length)] = 0;
            weights[RANDOM.nextInt(weights.length)] = 1;
            double uniform = run == 0 ? 0 : run == 1 ? Math.nextDown(1.0) : RANDOM.nextDouble();
            double left = uniform * Weights.sum(weights, 0, weights.length);
            int id = 0;
            while (left >= weights[id]) {
                left -= weights[id++];
            }
            assertEquals(id, Weights.draw(weights, uniform));
        }
    }

    @Test
    void theExponentialIsExactToFloatPrecision() {
        float[] exponents = new float[1_000_000];
        for (int i = 1; i < exponents.length; i++) {
            exponents[i] = -87.3f * RANDOM.nextFloat();
        }
        float[] values = exponents.clone();
        Exponential.replace(values, new int[values.length], 0, 1);
        double worst = 0;
        for (int i = 0; i < values.length; i++) {
            worst = Math.max(worst, Math.abs(values[i] / Math.exp(exponents[i]) - 1));
        }
        assertTrue(worst < 2e-7, "relative error " + worst);
        assertEquals(1, values[0]);
    }

    @Test
    void theExponentialScalesAndEndsAtZero() {
        float[] values = {3, 1, -85, -86, Float.NEGATIVE_INFINITY, -Float.MAX_VALUE};
        Exponential.replace(values, new int[6], 3, 0.5f);
        assertArrayEquals(new float[] {1, (float) Math.exp(-1), 7.781132e-20f, 4.719499e-20f, 0, 0}, values, 1e-7f);
        float[] low = {0, -88, -89};
        Exponential.replace(low, new int[3], 0, 1);
        assertArrayEquals(new float[] {1, 0, 0}, low);
    }

    /** Returns up to 1,000 positive weights, of which many are equal. */
    private static float[] weights() {
        float[] weights = new float[2 + RANDOM.nextInt(1000)];
        int different = 1 + RANDOM.nextInt(500);
        for (int i = 0; i < weights.length; i++) {
            weights[i] = (1 + RANDOM.nextInt(different)) / 512f;
        }
        return weights;
    }

    private static List<Integer> sorted(float[] weights) {
        return IntStream.range(0, weights.length)
                .boxed()
                .sorted(Comparator.comparingDouble((Integer id) -> -weights[id]))
                .toList();
    }

    private static float[] first(float[] weights, int count) {
        float[] first = new float[weights.length];
        sorted(weights).stream().limit(count).forEach(id -> first[id] = weights[id]);
        return first;
    }
}
