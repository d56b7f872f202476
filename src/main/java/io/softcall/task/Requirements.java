package io.softcall.task;

import java.util.Set;

/**
 * The requirements of the served base for a task.
 *
 * @param baseName the name of the base, for messages
 * @param fingerprints the fingerprint of the base, and those of other bases whose prompts the operator accepts
 * @param hidden the width of prompt vectors and label rows
 * @param maxPromptTokens the length of the longest prompt that is served, in tokens
 * @param prefix the layout of ready prefixes
 * @param encodes whether this server can compute prefixes that are not ready
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
