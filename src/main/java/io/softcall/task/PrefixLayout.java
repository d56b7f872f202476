package io.softcall.task;

/**
 * What a ready prefix must look like for the variant that is served.
 *
 * @param variant its name in an artifact
 * @param digest of whatever scales keys and values
 */
public record PrefixLayout(String variant, String digest, int layers, int kvHeads, int headDim) {}
