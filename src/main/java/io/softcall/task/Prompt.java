package io.softcall.task;

/**
 * A soft prompt.
 *
 * @param tokens the number of virtual tokens
 * @param hidden the width of each
 * @param values [tokens, hidden], row-major; must not be changed afterwards
 */
public record Prompt(int tokens, int hidden, float[] values) {
    public Prompt {
        if (tokens < 1 || values.length != tokens * hidden) {
            throw new IllegalArgumentException("%d values for %d x %d".formatted(values.length, tokens, hidden));
        }
    }
}
