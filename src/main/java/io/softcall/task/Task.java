package io.softcall.task;

import java.time.Instant;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * A task as it was stored: everything that a call needs, checked. No half-valid task exists.
 *
 * @param version the store's word for this content
 * @param stored when this version was stored; empty for a copy that somebody keeps
 * @param readyPrefix the prompt's KV cache, where the artifact has one that fits the variant that is served
 * @param temperature divides the logits before the softmax; greater than 0
 * @param abstainThreshold an answer whose best probability lies below has no label
 * @param signedAt when it was signed; empty where nobody asks for signatures
 * @param metadata the artifact's {@code softcall} metadata, JSON, for people to see
 * @param artifactBytes size of the stored object
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

    /** What records, strings and lists take besides. */
    private static final int OBJECT_BYTES = 2_048;

    /** Memory that this takes, for caches. */
    public long heapBytes() {
        return OBJECT_BYTES
                + (long) Float.BYTES * prompt.values().length
                + (long) Short.BYTES * readyPrefix.map(ReadyPrefix::size).orElse(0)
                + head.heapBytes()
                // Its source and its parts.
                + 2L * Character.BYTES * template.toString().length()
                + (long) Character.BYTES * metadata.length();
    }

    /** @throws RefusedException when this was signed before {@code served}: nobody brings an old prompt back by storing it again */
    public void requireNotOlder(Task served) throws RefusedException {
        if (signedAt.isPresent() && signedAt.get().isBefore(served.signedAt().orElse(Instant.MIN))) {
            throw new RefusedException(
                    "it was signed at %s, and the version that is served at %s",
                    signedAt.get(), served.signedAt().orElseThrow());
        }
    }
}
