package io.softcall.task;

/**
 * The layout that a ready prefix must have for the served variant.
 *
 * @param variant the variant's name in an artifact
 * @param digest a digest of everything that scales keys and values
 */
public record PrefixLayout(String variant, String digest, int layers, int kvHeads, int headDim) {}
