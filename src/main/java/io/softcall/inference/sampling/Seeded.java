package io.softcall.inference.sampling;

/** Random numbers that depend on a seed and the number of a step alone. */
final class Seeded {

    private static final long GOLDEN_GAMMA = 0x9e3779b97f4a7c15L;

    private Seeded() {}

    /** Returns a number in [0, 1), uniform over steps and over seeds. */
    static double uniform(long seed, int step) {
        long bits = mix(mix(seed + GOLDEN_GAMMA) + (step + 1L) * GOLDEN_GAMMA);
        return (bits >>> 11) * 0x1p-53;
    }

    /** Steele et al. 2014, SplitMix64, with Stafford's variant 13 of the mixing function. */
    private static long mix(long value) {
        long mixed = (value ^ (value >>> 30)) * 0xbf58476d1ce4e5b9L;
        mixed = (mixed ^ (mixed >>> 27)) * 0x94d049bb133111ebL;
        return mixed ^ (mixed >>> 31);
    }
}
