package io.softcall.inference.sampling;

import java.util.Arrays;

/** How often tokens are in an answer. Tokens of the prompt are here too, with a count of zero. A hash table of plain numbers. */
final class TokenCounts {

    private static final int EMPTY = -1;
    private static final int SMALLEST = 16;

    private int[] ids = new int[SMALLEST];
    private int[] counts = new int[SMALLEST];
    private int size;

    TokenCounts() {
        Arrays.fill(ids, EMPTY);
    }

    /** Uses a token and its count. */
    @FunctionalInterface
    interface Use {
        void use(int id, int count);
    }

    /** Adds to the count of a token; {@code count} may be zero. */
    void add(int id, int count) {
        if (2 * size >= ids.length) {
            grow();
        }
        int at = place(id);
        if (ids[at] == EMPTY) {
            ids[at] = id;
            size++;
        }
        counts[at] += count;
    }

    void forEach(Use use) {
        for (int at = 0; at < ids.length; at++) {
            if (ids[at] != EMPTY) {
                use.use(ids[at], counts[at]);
            }
        }
    }

    private int place(int id) {
        int mask = ids.length - 1;
        int at = (id * 0x9e3779b9) >>> 7 & mask;
        while (ids[at] != EMPTY && ids[at] != id) {
            at = at + 1 & mask;
        }
        return at;
    }

    private void grow() {
        int[] oldIds = ids;
        int[] oldCounts = counts;
        ids = new int[2 * oldIds.length];
        counts = new int[ids.length];
        Arrays.fill(ids, EMPTY);
        for (int at = 0; at < oldIds.length; at++) {
            if (oldIds[at] != EMPTY) {
                int place = place(oldIds[at]);
                ids[place] = oldIds[at];
                counts[place] = oldCounts[at];
            }
        }
    }
}
