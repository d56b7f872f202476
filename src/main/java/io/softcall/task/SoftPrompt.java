package io.softcall.task;

import java.util.Optional;

/**
 * A soft prompt: vectors in front of the text's embeddings (Lester et al. 2021).
 *
 * @param tokens the number of virtual tokens
 * @param hidden the width of each
 * @param values [tokens, hidden], row-major; must not be changed afterwards
 * @param ready the prompt's KV cache; empty if the artifact has none that fits the served variant
 */
public record SoftPrompt(int tokens, int hidden, float[] values, Optional<ReadyPrefix> ready) implements Prompt {
    public SoftPrompt {
        if (tokens < 1 || values.length != tokens * hidden) {
            throw new IllegalArgumentException("%d values for %d x %d".formatted(values.length, tokens, hidden));
        }
        if (ready.filter(prefix -> prefix.tokens() != tokens).isPresent()) {
            throw new IllegalArgumentException("a prefix of %d tokens for a prompt of %d"
                    .formatted(ready.get().tokens(), tokens));
        }
    }

    @Override
    public long heapBytes() {
        return (long) Float.BYTES * values.length
                + ready.map(ReadyPrefix::heapBytes).orElse(0L);
    }
}
