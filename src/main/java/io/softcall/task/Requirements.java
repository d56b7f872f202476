package io.softcall.task;

import java.util.Set;

/**
 * What the served base demands of a task.
 *
 * @param baseName for messages
 * @param fingerprints the base's own, and others that the operator vouches for
 * @param hidden width of prompt vectors and label rows
 * @param maxPromptTokens longest prompt that is served
 * @param prefix what a prefix must be that is ready to use
 * @param encodes whether prefixes that are not ready can be computed here
 */
public record Requirements(
        String baseName,
        Set<String> fingerprints,
        int hidden,
        int maxPromptTokens,
        PrefixLayout prefix,
        boolean encodes) {
    public Requirements {
        fingerprints = Set.copyOf(fingerprints);
    }
}
