package io.softcall.task;

/** What a task has learned: vectors below the first layer, or keys and values of all layers. docs/kv-prompts.md compares them. */
public sealed interface Prompt permits SoftPrompt, KvPrompt, Prompt.None {

    /** Returns the number of the prompt's tokens. Each takes a position. */
    int tokens();

    /** Returns the bytes of the values on the Java heap. */
    long heapBytes();

    /** Nothing was learned: the base itself answers. */
    record None() implements Prompt {

        @Override
        public int tokens() {
            return 0;
        }

        @Override
        public long heapBytes() {
            return 0;
        }
    }
}
