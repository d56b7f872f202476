package io.softcall.task;

import io.softcall.SoftcallException;
import java.time.Instant;
import java.util.Optional;

/**
 * A stored task with everything that answers need; {@link StoredTask} has its prompt, too. All parts were validated.
 *
 * @param version the store's identifier of this content
 * @param stored the time when this version was stored; empty for a task that was read from a copy
 * @param promptTokens the number of the prompt's tokens, each of which takes a position
 * @param signedAt the time of the signature; empty if no signatures are required
 * @param metadata the artifact's {@code softcall} metadata, as JSON for people to read
 * @param artifactBytes the size of the stored object
 */
public record Task(
        TaskName name,
        String version,
        Optional<Instant> stored,
        int promptTokens,
        Kind kind,
        Optional<Instant> signedAt,
        String metadata,
        long artifactBytes) {

    /** An estimate of what records, strings and lists take besides the values. */
    private static final int OBJECT_BYTES = 2_048;

    /**
     * Returns what the task needs to classify.
     *
     * @throws SoftcallException {@code INVALID_REQUEST} if the task writes text
     */
    public Kind.Classification classification() {
        if (kind instanceof Kind.Classification classification) {
            return classification;
        }
        throw SoftcallException.invalid(
                "task \"%s\" writes text, and does not classify: send it to %s", name, generationPath());
    }

    /**
     * Returns what the task needs to write text.
     *
     * @throws SoftcallException {@code INVALID_REQUEST} if the task classifies
     */
    public Kind.Generation generation() {
        if (kind instanceof Kind.Generation generation) {
            return generation;
        }
        throw SoftcallException.invalid(
                "task \"%s\" classifies, and does not write text: send it to /v1/classify", name);
    }

    private String generationPath() {
        return generation().chat() ? "/v1/chat/completions" : "/v1/completions";
    }

    /** Estimates the bytes that this takes on the Java heap. */
    long heapBytes() {
        return OBJECT_BYTES + kind.heapBytes() + (long) Character.BYTES * metadata.length();
    }

    /**
     * Refuses this task if it was signed before the served version, so that nobody can bring back an old prompt by storing it
     * again.
     *
     * @param servedSignedAt the time when the served version was signed
     * @throws RefusedException if this was signed before it
     */
    public void requireNotOlder(Optional<Instant> servedSignedAt) throws RefusedException {
        if (signedAt.isPresent() && signedAt.get().isBefore(servedSignedAt.orElse(Instant.MIN))) {
            throw new RefusedException(
                    "it was signed at %s, before the served version, which was signed at %s",
                    signedAt.get(), servedSignedAt.get());
        }
    }
}
