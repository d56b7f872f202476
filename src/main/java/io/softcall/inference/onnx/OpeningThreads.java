package io.softcall.inference.onnx;

import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Supplier;

/** Opens native sessions, each on a thread of its own. A process that exits while one opens would crash in native code. */
public final class OpeningThreads {

    private static final Queue<CompletableFuture<?>> BEGUN = new ConcurrentLinkedQueue<>();

    private OpeningThreads() {}

    /** Begins to open on a new daemon thread of this name. */
    public static <T> CompletableFuture<T> begin(String thread, Supplier<T> work) {
        CompletableFuture<T> result = CompletableFuture.supplyAsync(
                work, task -> Thread.ofPlatform().name(thread).daemon().start(task));
        BEGUN.add(result);
        return result;
    }

    /** Waits until all that has begun has ended, well or badly. */
    public static void awaitEnd() {
        BEGUN.forEach(opened -> opened.handle((value, failure) -> value).join());
    }
}
