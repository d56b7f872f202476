package io.softcall.task;

import java.util.Set;

/**
 * The requirements of the served base for a task.
 *
 * @param baseName the name of the base, for messages
 * @param fingerprints the fingerprint of the base, and those of other bases whose prompts the operator accepts
 * @param hidden the width of soft prompts' vectors and label rows
 * @param maxPositions the positions of prompt and text together
 * @param maxPromptTokens the length of the longest prompt that is served, in tokens
 * @param prefix the layout of prefixes
 * @param encodes whether this server can compute the prefixes of soft prompts that have no ready one
 */
public record Requirements(
        String baseName,
        Set<String> fingerprints,
        int hidden,
        int maxPositions,
        int maxPromptTokens,
        PrefixLayout prefix,
        boolean encodes) {
    public Requirements {
        fingerprints = Set.copyOf(fingerprints);
    }
}
