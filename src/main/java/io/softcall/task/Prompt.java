package io.softcall.task;

/** What a task has learned: vectors below the first layer, or keys and values of all layers. docs/kv-prompts.md compares them. */
public sealed interface Prompt permits SoftPrompt, KvPrompt {

    /** Returns the number of the prompt's tokens, at least 1. Each takes a position. */
    int tokens();

    /** Returns the bytes of the values on the Java heap. */
    long heapBytes();
}
