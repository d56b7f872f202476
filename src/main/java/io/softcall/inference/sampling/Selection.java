package io.softcall.inference.sampling;

/**
 * The smallest weight that is kept, found without sorting: a selection in linear time (Hoare 1961, FIND).
 *
 * @param weight tokens with a larger weight are kept, those with a smaller one are not
 * @param equal how many tokens with just this weight are kept; those with the smallest ids
 */
record Selection(float weight, int equal) {

    /**
     * Selects the most probable tokens.
     *
     * @param weights [length], which are reordered
     * @param count how many are kept, from 1 to {@code length}
     */
    static Selection largest(float[] weights, int length, int count) {
        int from = 0;
        int to = length;
        int wanted = count;
        while (true) {
            float pivot = pivot(weights, from, to);
            long borders = partition(weights, from, to, pivot);
            int greater = (int) (borders >>> 32) - from;
            int atLeast = (int) borders - from;
            if (wanted <= greater) {
                to = from + greater;
            } else if (wanted <= atLeast) {
                return new Selection(pivot, wanted - greater);
            } else {
                wanted -= atLeast;
                from += atLeast;
            }
        }
    }

    /**
     * Selects the smallest set of most probable tokens whose weights sum to at least {@code mass} (Holtzman et al. 2020, nucleus
     * sampling); at least one token.
     *
     * @param weights [length], at least one, all positive; they are reordered
     */
    static Selection nucleus(float[] weights, int length, double mass) {
        int from = 0;
        int to = length;
        double wanted = mass;
        while (true) {
            float pivot = pivot(weights, from, to);
            long borders = partition(weights, from, to, pivot);
            int greater = (int) (borders >>> 32);
            int atLeast = (int) borders;
            double above = Weights.sum(weights, from, greater);
            int equal = atLeast - greater;
            if (greater > from && above >= wanted) {
                to = greater;
            } else if (above + (double) equal * pivot >= wanted || atLeast == to) {
                double needed = Math.ceil((wanted - above) / pivot);
                return new Selection(pivot, (int) Math.clamp(needed, 1, equal));
            } else {
                wanted -= above + (double) equal * pivot;
                from = atLeast;
            }
        }
    }

    /** Sets the weights that are not kept to zero. */
    void retain(float[] weights) {
        int left = equal;
        for (int id = 0; id < weights.length; id++) {
            if (weights[id] < weight) {
                weights[id] = 0;
            } else if (weights[id] == weight && --left < 0) {
                weights[id] = 0;
            }
        }
    }

    /** Returns the median of the first, the middle and the last weight. */
    private static float pivot(float[] weights, int from, int to) {
        float first = weights[from];
        float middle = weights[from + to >>> 1];
        float last = weights[to - 1];
        return Math.max(Math.min(first, middle), Math.min(Math.max(first, middle), last));
    }

    /**
     * Moves larger weights before the pivot, and smaller ones behind it.
     *
     * @return the border of the larger ones in the upper half, and that of those at least as large in the lower half
     */
    private static long partition(float[] weights, int from, int to, float pivot) {
        int greater = from;
        int at = from;
        int less = to;
        while (at < less) {
            float weight = weights[at];
            if (weight > pivot) {
                weights[at++] = weights[greater];
                weights[greater++] = weight;
            } else if (weight < pivot) {
                weights[at] = weights[--less];
                weights[less] = weight;
            } else {
                at++;
            }
        }
        return (long) greater << 32 | less;
    }
}
