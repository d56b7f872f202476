package io.softcall;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/** Bounds the memory that work on an input allocates by the size of the input. */
public final class Allocation {

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private Allocation() {}

    /**
     * @param <T> the result of the work
     * @param <E> the exception of the work
     */
    @FunctionalInterface
    public interface Work<T, E extends Exception> {
        T run() throws E;
    }

    /**
     * Runs the work, and checks that it allocates at most {@code bytes} on this thread, whether it succeeds or fails. If it has
     * allocated more, it runs once again, because the first time it may have loaded classes.
     */
    public static <T, E extends Exception> T within(long bytes, Work<T, E> work) throws E {
        long before = THREADS.getCurrentThreadAllocatedBytes();
        try {
            return work.run();
        } finally {
            if (since(before) > bytes) {
                assertTakesAtMost(bytes, work);
            }
        }
    }

    private static long since(long before) {
        return THREADS.getCurrentThreadAllocatedBytes() - before;
    }

    private static <T, E extends Exception> void assertTakesAtMost(long bytes, Work<T, E> work) throws E {
        long before = THREADS.getCurrentThreadAllocatedBytes();
        try {
            work.run();
        } finally {
            long taken = since(before);
            assertTrue(taken <= bytes, () -> "%d bytes were allocated, expected %d at most".formatted(taken, bytes));
        }
    }
}
