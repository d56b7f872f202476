package io.softcall.task;

/**
 * A KV prompt: keys and values in front of the text's own in every layer (Li and Liang 2021). It is held as the prefix that it
 * is, and takes as many bytes as in its artifact.
 */
public record KvPrompt(ReadyPrefix prefix) implements Prompt {

    @Override
    public int tokens() {
        return prefix.tokens();
    }

    @Override
    public long heapBytes() {
        return prefix.heapBytes();
    }
}
