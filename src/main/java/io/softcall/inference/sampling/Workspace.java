package io.softcall.inference.sampling;

/**
 * The arrays of one decoding thread, which all its samplers use in turn. So a step allocates nothing of the vocabulary's size.
 * Not safe for use by several threads.
 */
public final class Workspace {

    /** Logits as the settings change them, then weights; [vocabulary]. */
    final float[] values;
    /** What a selection reorders; [vocabulary]. */
    final float[] scratch;
    /** Powers of two; [vocabulary]. */
    final int[] powers;

    /** @param vocabulary the number of tokens of the base */
    public Workspace(int vocabulary) {
        values = new float[vocabulary];
        scratch = new float[vocabulary];
        powers = new int[vocabulary];
    }
}
