package io.softcall.task;

/**
 * A task with its prompt, which may take tens of megabytes. Caches hold it. Calls hold only the {@link Task} once they have the
 * prompt's prefix, so that prompts that the caches have evicted leave the heap.
 */
public record StoredTask(Task task, Prompt prompt) {

    public StoredTask {
        if (prompt.tokens() != task.promptTokens()) {
            throw new IllegalArgumentException(
                    "a prompt of %d tokens for %d".formatted(prompt.tokens(), task.promptTokens()));
        }
    }

    /** Estimates the bytes that this takes on the Java heap, as the weight in caches. */
    public long heapBytes() {
        return task.heapBytes() + prompt.heapBytes();
    }
}
