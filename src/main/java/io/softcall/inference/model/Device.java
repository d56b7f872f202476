package io.softcall.inference.model;

import java.util.List;
import java.util.OptionalInt;
import java.util.function.IntSupplier;

/** The kinds of device that compute, with the defaults that suit them. */
public enum Device {
    /** A processor: concurrent batches share its cores, and a lone input gets all of them. */
    CPU(List.of("int8"), 256, 16, 4096, 1024, () -> Math.min(Cores.usable(), 4), false),
    /**
     * A GPU: the start of a forward pass costs as much as thousands of tokens, and the first pass of a shape as much as
     * several.
     */
    CUDA(List.of("fp16", Bundle.FULL_PRECISION), 8192, 2048, 32768, 8192, () -> 2, true);

    private final List<String> variants;
    private final int tokens;
    private final int paddingTokens;
    private final int prefixTokens;
    private final int queueRows;
    /** Evaluated at runtime, because a native executable initializes this class on the machine that compiles it. */
    private final IntSupplier runs;

    private final boolean fewShapes;

    Device(
            List<String> variants,
            int tokens,
            int paddingTokens,
            int prefixTokens,
            int queueRows,
            IntSupplier runs,
            boolean fewShapes) {
        this.variants = variants;
        this.tokens = tokens;
        this.paddingTokens = paddingTokens;
        this.prefixTokens = prefixTokens;
        this.queueRows = queueRows;
        this.runs = runs;
        this.fewShapes = fewShapes;
    }

    /**
     * The bounds on batches: the configured ones, or else the defaults of the device.
     *
     * @param tokens the padded tokens of one batch
     * @param paddingTokens the padding tokens of one batch
     * @param prefixTokens the prefix tokens of one batch: its inputs times the tokens of their prefix
     * @param queueRows the number of inputs that may wait
     * @param runs the number of batches that are computed at the same time
     */
    public record Batching(int tokens, int paddingTokens, int prefixTokens, int queueRows, int runs) {}

    /** Returns whether concurrent batches partition the cores. Each batch then takes its share of the waiting inputs. */
    public boolean isPartitioned() {
        return this == CPU;
    }

    /**
     * Returns variants in order of preference. If the configuration names none, the first one that the bundle has is served.
     */
    public List<String> variants() {
        return variants;
    }

    public Batching batching(InferenceConfig.Batch set) {
        return new Batching(
                or(set.tokens(), tokens),
                or(set.paddingTokens(), paddingTokens),
                or(set.prefixTokens(), prefixTokens),
                or(set.queueRows(), queueRows),
                set.runs().orElseGet(runs));
    }

    private static int or(OptionalInt set, int suitable) {
        return set.orElse(suitable);
    }

    /**
     * Returns the padded size of a batch of {@code count} sequences: 1 to 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, ... 64, 80,
     * 96, 112, ...
     */
    public int rows(int count) {
        return fewShapes ? multiple(count, Math.min(step(count, 4), 16)) : count;
    }

    /**
     * Returns the padded length of a batch whose longest sequence has {@code longest} tokens: 1 to 16, 18, 20, ... 32, 36, ...
     */
    public int tokens(int longest) {
        return fewShapes ? multiple(longest, step(longest, 8)) : longest;
    }

    /** Returns the step that gives {@code sizes} sizes from one power of two to the next. */
    private static int step(int size, int sizes) {
        return Math.max(1, Integer.highestOneBit(size) / sizes);
    }

    private static int multiple(int size, int step) {
        return Math.ceilDiv(size, step) * step;
    }
}
