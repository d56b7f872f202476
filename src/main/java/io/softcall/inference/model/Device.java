package io.softcall.inference.model;

import java.util.List;
import java.util.OptionalInt;
import java.util.function.IntSupplier;

/** What computes, and what suits it. */
public enum Device {
    /** Cores that work on runs of their own never wait for each other; a lone row has them all. */
    CPU(List.of("int8"), 256, 16, 1024, () -> Math.min(Cores.usable(), 4), false),
    /** The start of a run costs as much as thousands of tokens, and the first run of a shape as much as several others. */
    CUDA(List.of("fp16", Bundle.FULL_PRECISION), 8192, 2048, 8192, () -> 2, true);

    private final List<String> variants;
    private final int tokens;
    private final int paddingTokens;
    private final int queueRows;
    /** Asked when it runs: a native executable loads this class where it is compiled, on another machine's cores. */
    private final IntSupplier runs;

    private final boolean fewShapes;

    Device(List<String> variants, int tokens, int paddingTokens, int queueRows, IntSupplier runs, boolean fewShapes) {
        this.variants = variants;
        this.tokens = tokens;
        this.paddingTokens = paddingTokens;
        this.queueRows = queueRows;
        this.runs = runs;
        this.fewShapes = fewShapes;
    }

    /**
     * The bounds on runs: those that are set, else those that suit a device.
     *
     * @param tokens padded tokens of one run
     * @param paddingTokens tokens of a run that are only padding
     * @param queueRows rows that may wait
     * @param runs under way at once
     */
    public record Batching(int tokens, int paddingTokens, int queueRows, int runs) {}

    /** Whether runs at the same time divide what computes among them: then each takes its share of the rows that wait. */
    public boolean isPartitioned() {
        return this == CPU;
    }

    /** The variants of which the first that a bundle has is served where none is named. */
    public List<String> variants() {
        return variants;
    }

    public Batching batching(InferenceConfig.Batch set) {
        return new Batching(
                or(set.tokens(), tokens),
                or(set.paddingTokens(), paddingTokens),
                or(set.queueRows(), queueRows),
                set.runs().orElseGet(runs));
    }

    private static int or(OptionalInt set, int suitable) {
        return set.orElse(suitable);
    }

    /** The rows with which so many are run: 1 to 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, ... 64, 80, 96, 112, ... */
    public int rows(int count) {
        return fewShapes ? multiple(count, Math.min(step(count, 4), 16)) : count;
    }

    /** The tokens with which the longest text of a run is run: 1 to 16, 18, 20, ... 32, 36, ... */
    public int tokens(int longest) {
        return fewShapes ? multiple(longest, step(longest, 8)) : longest;
    }

    /** Between so many sizes from a power of two to the next. */
    private static int step(int size, int sizes) {
        return Math.max(1, Integer.highestOneBit(size) / sizes);
    }

    private static int multiple(int size, int step) {
        return Math.ceilDiv(size, step) * step;
    }
}
