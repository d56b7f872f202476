package io.softcall.inference.onnx.session;

import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Supplier;

/**
 * Opens native sessions, each on a thread of its own. They are tracked, because a process that exits while a session opens
 * would crash in native code.
 */
public final class OpeningThreads {

    private static final Queue<CompletableFuture<?>> BEGUN = new ConcurrentLinkedQueue<>();

    private OpeningThreads() {}

    /** Starts to open something on a new daemon thread of this name. */
    public static <T> CompletableFuture<T> begin(String thread, Supplier<T> work) {
        CompletableFuture<T> result = CompletableFuture.supplyAsync(
                work, task -> Thread.ofPlatform().name(thread).daemon().start(task));
        BEGUN.add(result);
        return result;
    }

    /** Waits until everything that was started has ended, successfully or not. */
    public static void awaitEnd() {
        BEGUN.forEach(opened -> opened.handle((value, failure) -> value).join());
    }
}
