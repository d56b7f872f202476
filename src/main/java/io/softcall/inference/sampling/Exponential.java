package io.softcall.inference.sampling;

/**
 * The exponential function of floats, as a few multiplications and additions that the compiler computes for several values at
 * once. As in Cephes ({@code expf}): a power of two times a polynomial on [-ln(2)/2, ln(2)/2].
 */
final class Exponential {

    /** Below it the result is 0. */
    static final float LOWEST = -87;

    private static final float LOG2_E = 1.44269504f;
    /** ln(2) in two parts. The first has few bits, so that its products are exact. */
    private static final float LN2_HIGH = 0.693359375f;

    private static final float LN2_LOW = -2.12194440e-4f;
    /** Adding it and subtracting it again rounds to an integer. */
    private static final float ROUNDING = 12582912;

    private Exponential() {}

    /** Returns {@code exp(x)} with a relative error below 2e-7. {@code x} is at most 0; far below 0 the result is 0. */
    static float of(float x) {
        float bounded = Math.max(x, LOWEST);
        float power = bounded * LOG2_E + ROUNDING - ROUNDING;
        float rest = bounded - power * LN2_HIGH - power * LN2_LOW;
        float sum = 1.9875691500E-4f;
        sum = sum * rest + 1.3981999507E-3f;
        sum = sum * rest + 8.3334519073E-3f;
        sum = sum * rest + 4.1665795894E-2f;
        sum = sum * rest + 1.6666665459E-1f;
        sum = sum * rest + 5.0000001201E-1f;
        sum = sum * rest * rest + rest + 1;
        float scaled = sum * Float.intBitsToFloat((int) power + 127 << 23);
        return x < LOWEST ? 0 : scaled;
    }

    /**
     * Replaces each value by {@code exp((value - largest) * scale)}.
     *
     * @param largest the largest value
     * @param scale at least 0
     */
    static void replace(float[] values, float largest, float scale) {
        for (int i = 0; i < values.length; i++) {
            values[i] = of((values[i] - largest) * scale);
        }
    }
}
