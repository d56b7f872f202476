package io.softcall.inference;

import java.util.List;
import java.util.OptionalInt;
import java.util.function.IntUnaryOperator;

/** What computes, and what suits it. */
enum Device {
    CPU(List.of("int8"), 1024, 16, 1024, 1, size -> size),
    /** The start of a run costs as much as thousands of tokens, and the first run of a shape as much as several others. */
    CUDA(List.of("fp16", Bundle.FULL_PRECISION), 8192, 2048, 8192, 2, Device::paddedSize);

    private final List<String> variants;
    private final int tokens;
    private final int paddingTokens;
    private final int queueRows;
    private final int runs;
    private final IntUnaryOperator padded;

    Device(List<String> variants, int tokens, int paddingTokens, int queueRows, int runs, IntUnaryOperator padded) {
        this.variants = variants;
        this.tokens = tokens;
        this.paddingTokens = paddingTokens;
        this.queueRows = queueRows;
        this.runs = runs;
        this.padded = padded;
    }

    /**
     * The bounds on runs: those that are set, else those that suit a device.
     *
     * @param tokens padded tokens of one run
     * @param paddingTokens tokens of a run that are only padding
     * @param queueRows rows that may wait
     * @param runs under way at once
     */
    record Batching(int tokens, int paddingTokens, int queueRows, int runs) {}

    /** The variants of which the first that a bundle has is served where none is named. */
    List<String> variants() {
        return variants;
    }

    Batching batching(InferenceConfig.Batch set) {
        return new Batching(
                or(set.tokens(), tokens),
                or(set.paddingTokens(), paddingTokens),
                or(set.queueRows(), queueRows),
                or(set.runs(), runs));
    }

    private static int or(OptionalInt set, int suitable) {
        return set.orElse(suitable);
    }

    /** The size, of rows or tokens, with which so many are run. */
    int padded(int size) {
        return padded.applyAsInt(size);
    }

    /** Four sizes between a power of two and the next: 1 to 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, ... */
    private static int paddedSize(int size) {
        int step = Math.max(1, Integer.highestOneBit(size) / 4);
        return Math.ceilDiv(size, step) * step;
    }
}
