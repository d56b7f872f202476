package io.softcall.task;

/**
 * The layout of prefixes of the served variant.
 *
 * @param variant the variant's name in an artifact
 * @param digest a digest of everything that scales keys and values
 * @param unscaled whether nothing scales them, which KV prompts need
 */
public record PrefixLayout(String variant, String digest, boolean unscaled, int layers, int kvHeads, int headDim) {

    /** Returns how many numbers a token has: the keys and values of all layers. */
    public int numbersOfAToken() {
        return 2 * layers * kvHeads * headDim;
    }
}
