package io.softcall.inference.sampling;

/** Sums of weights, and draws by them. */
final class Weights {

    private static final int BLOCK = 256;
    private static final int SMALL_BLOCK = 64;

    private Weights() {}

    /** Returns the sum of the weights from {@code from} to before {@code to}. */
    static double sum(float[] weights, int from, int to) {
        // Four sums, because each addition waits for the one before.
        double a = 0;
        double b = 0;
        double c = 0;
        double d = 0;
        int i = from;
        for (; i <= to - 4; i += 4) {
            a += weights[i];
            b += weights[i + 1];
            c += weights[i + 2];
            d += weights[i + 3];
        }
        for (; i < to; i++) {
            a += weights[i];
        }
        return a + b + (c + d);
    }

    /** Copies positive weights of at least {@code lowest} to the front of another array. @return how many there are */
    static int select(float[] weights, float lowest, float[] into) {
        int count = 0;
        float least = Math.max(lowest, Float.MIN_VALUE);
        for (float weight : weights) {
            if (weight >= least) {
                into[count++] = weight;
            }
        }
        return count;
    }

    /**
     * Copies at least the {@code count} largest weights to the front of another array, and not many more: those that reach the
     * {@code count}-th largest of the largest weights of blocks.
     *
     * @return how many were copied
     */
    static int selectLargest(float[] weights, int count, float[] into) {
        int blocks = weights.length / SMALL_BLOCK;
        if (count > blocks) {
            return select(weights, 0, into);
        }
        for (int block = 0; block < blocks; block++) {
            float largest = 0;
            for (int i = block * SMALL_BLOCK; i < (block + 1) * SMALL_BLOCK; i++) {
                largest = Math.max(largest, weights[i]);
            }
            into[block] = largest;
        }
        return select(weights, Selection.largest(into, blocks, count).weight(), into);
    }

    /**
     * Draws a token with a probability proportional to its weight. The tokens share [0, 1) in the order of their ids.
     *
     * @param weights [vocabulary], at least one of them positive
     * @param uniform a number in [0, 1)
     */
    static int draw(float[] weights, double uniform) {
        double left = uniform * sum(weights, 0, weights.length);
        int from = 0;
        // Whole blocks are skipped first: their sums take a fraction of the time of single steps.
        while (from + BLOCK < weights.length) {
            double block = sum(weights, from, from + BLOCK);
            if (left < block) {
                break;
            }
            left -= block;
            from += BLOCK;
        }
        int last = -1;
        for (int id = from; id < weights.length; id++) {
            if (weights[id] > 0) {
                last = id;
                left -= weights[id];
                if (left < 0) {
                    return id;
                }
            }
        }
        return last >= 0 ? last : lastPositive(weights);
    }

    /** Rounding can leave a rest behind all tokens, which belongs to the last one. */
    private static int lastPositive(float[] weights) {
        int id = weights.length - 1;
        while (weights[id] <= 0) {
            id--;
        }
        return id;
    }
}
