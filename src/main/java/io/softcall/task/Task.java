package io.softcall.task;

import java.time.Instant;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * A stored task with everything that a call needs. All parts were validated.
 *
 * @param version the store's identifier of this content
 * @param stored the time when this version was stored; empty for a task that was read from a copy
 * @param readyPrefix the prompt's KV cache; empty if the artifact has none that fits the served variant
 * @param temperature the divisor of the logits before the softmax; greater than 0
 * @param abstainThreshold the probability that the best label must reach; otherwise the answer has no label
 * @param signedAt the time of the signature; empty if no signatures are required
 * @param metadata the artifact's {@code softcall} metadata, as JSON for people to read
 * @param artifactBytes the size of the stored object
 */
public record Task(
        TaskName name,
        String version,
        Optional<Instant> stored,
        Prompt prompt,
        Optional<ReadyPrefix> readyPrefix,
        LabelHead head,
        Template template,
        double temperature,
        OptionalDouble abstainThreshold,
        Optional<Instant> signedAt,
        String metadata,
        long artifactBytes) {

    /** An estimate of what records, strings and lists take besides the values. */
    private static final int OBJECT_BYTES = 2_048;

    /** Estimates the bytes that this takes on the Java heap, as the weight in caches. */
    public long heapBytes() {
        return OBJECT_BYTES
                + (long) Float.BYTES * prompt.values().length
                + (long) Short.BYTES * readyPrefix.map(ReadyPrefix::size).orElse(0)
                + head.heapBytes()
                // The template keeps its source and its parts.
                + 2L * Character.BYTES * template.toString().length()
                + (long) Character.BYTES * metadata.length();
    }

    /**
     * Refuses this task if it was signed before the served version, so that nobody can bring back an old prompt by storing it
     * again.
     *
     * @throws RefusedException if this was signed before {@code served}
     */
    public void requireNotOlder(Task served) throws RefusedException {
        if (signedAt.isPresent() && signedAt.get().isBefore(served.signedAt().orElse(Instant.MIN))) {
            throw new RefusedException(
                    "it was signed at %s, before the served version, which was signed at %s",
                    signedAt.get(), served.signedAt().orElseThrow());
        }
    }
}
