package io.softcall.task;

/**
 * A soft prompt.
 *
 * @param tokens number of virtual tokens
 * @param hidden width of each
 * @param values [tokens, hidden], row-major; not to be changed
 */
public record Prompt(int tokens, int hidden, float[] values) {
    public Prompt {
        if (tokens < 1 || values.length != tokens * hidden) {
            throw new IllegalArgumentException("%d values for %d x %d".formatted(values.length, tokens, hidden));
        }
    }
}
