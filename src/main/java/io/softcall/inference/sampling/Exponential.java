package io.softcall.inference.sampling;

/**
 * The exponential function of floats, in loops that the compiler computes for several values at once; {@code Math.exp} takes six
 * times as long. As in Cephes ({@code expf}): a power of two times a polynomial on [-ln(2)/2, ln(2)/2].
 */
final class Exponential {

    /** Below it the result is 0. */
    static final float LOWEST = -88;

    private static final float LOG2_E = 1.44269504f;
    /** ln(2) in two parts. The first has few bits, so that its products are exact. */
    private static final float LN2_HIGH = 0.693359375f;

    private static final float LN2_LOW = -2.12194440e-4f;

    private static final int EXPONENT_BIAS = 127;
    private static final int MANTISSA_BITS = 23;

    private Exponential() {}

    /**
     * Replaces each value by {@code exp((value - largest) * scale)}, with a relative error below 2e-7; far below the largest
     * value by 0.
     *
     * @param powers as long as {@code values}; overwritten
     * @param largest the largest value
     * @param scale greater than 0
     */
    static void replace(float[] values, int[] powers, float largest, float scale) {
        for (int i = 0; i < values.length; i++) {
            values[i] = Math.max((values[i] - largest) * scale, LOWEST);
        }
        for (int i = 0; i < values.length; i++) {
            powers[i] = (int) (values[i] * LOG2_E - 0.5f);
        }
        for (int i = 0; i < values.length; i++) {
            float power = powers[i];
            float x = values[i] - power * LN2_HIGH - power * LN2_LOW;
            float sum = 1.9875691500E-4f;
            sum = sum * x + 1.3981999507E-3f;
            sum = sum * x + 8.3334519073E-3f;
            sum = sum * x + 4.1665795894E-2f;
            sum = sum * x + 1.6666665459E-1f;
            sum = sum * x + 5.0000001201E-1f;
            values[i] = sum * x * x + x + 1;
        }
        // The lowest power, -127, has the bits of zero.
        for (int i = 0; i < values.length; i++) {
            values[i] *= Float.intBitsToFloat(powers[i] + EXPONENT_BIAS << MANTISSA_BITS);
        }
    }
}
