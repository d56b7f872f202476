package io.softcall.inference.memory;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * A range of addresses, of which only the pages that were written take physical memory. A part can be given back, and is zero
 * afterwards. So the operating system does what a table of pages would do, and neighbouring tokens stay neighbours.
 *
 * <p>The kernel must not join pages to huge ones, of which a single written number would take 2 MiB.
 */
public final class LazyMemory implements AutoCloseable {

    private static final int READ_AND_WRITE = 1 | 2;
    /** Private, anonymous, and not reserved: the range may be larger than the machine's memory. */
    private static final int FLAGS = 0x02 | 0x20 | 0x4000;

    private static final int DONT_NEED = 4;
    private static final int NO_HUGE_PAGES = 15;
    private static final long PAGE = 4096;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment memory;
    private final MethodHandle madvise;

    /** @throws SoftcallException {@code OUT_OF_MEMORY} if the system refuses the range */
    public LazyMemory(long bytes) {
        Linker linker = Linker.nativeLinker();
        MethodHandle mmap = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("mmap"),
                FunctionDescriptor.of(
                        ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_INT,
                        ValueLayout.JAVA_INT,
                        ValueLayout.JAVA_INT,
                        ValueLayout.JAVA_LONG));
        MethodHandle munmap = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("munmap"),
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG));
        this.madvise = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("madvise"),
                FunctionDescriptor.of(
                        ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT));
        MemorySegment found = (MemorySegment)
                Native.call(() -> mmap.invoke(MemorySegment.NULL, bytes, READ_AND_WRITE, FLAGS, -1, 0L));
        if (found.address() == -1) {
            arena.close();
            throw new SoftcallException(
                    Reason.OUT_OF_MEMORY,
                    "the system refuses a range of %,d addresses (softcall.generation.streams and max-tokens decide on it)"
                            .formatted(bytes));
        }
        this.memory = found.reinterpret(bytes, arena, gone -> Native.call(() -> munmap.invoke(gone, bytes)));
        advise(memory, NO_HUGE_PAGES);
    }

    /** Returns the whole range. It begins at a border of pages. */
    public MemorySegment segment() {
        return memory;
    }

    /** Gives the pages that lie wholly in a part back to the system. */
    public void release(long offset, long bytes) {
        long begin = Math.ceilDiv(offset, PAGE) * PAGE;
        long end = (offset + bytes) / PAGE * PAGE;
        if (begin < end) {
            advise(memory.asSlice(begin, end - begin), DONT_NEED);
        }
    }

    /** The advice may be refused, which costs memory and nothing else. */
    private void advise(MemorySegment part, int advice) {
        Native.call(() -> madvise.invoke(part, part.byteSize(), advice));
    }

    @Override
    public void close() {
        arena.close();
    }
}
