package io.softcall.store;

import io.softcall.SoftcallException;
import io.softcall.Workers;
import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * Bounds the loading of objects: reading, hashing and parsing their contents. The bytes that are loaded at the same time are
 * bounded, so that many large objects do not fill the heap. They are reserved before anything is allocated, in the order of
 * arrival. Large contents have room of their own, because their transfer may take long: small ones never wait for them, and
 * never keep them waiting. The work is done on threads of its own.
 */
public final class Loading {

    private static final int PERMIT_BYTES = 1_024;
    private static final int WAITING = 1_024;

    /** A content is large if it takes more than this part of the room for small ones. */
    private static final int LARGE = 4;

    private final Room roomForSmall;
    private final Room roomForLarge;
    private final Workers workers =
            new Workers("artifacts", Runtime.getRuntime().availableProcessors(), WAITING);

    /**
     * @param small the bound on the bytes of small contents that are loaded at the same time
     * @param large the bound on those of large contents; one that exceeds it is the only large one
     */
    public Loading(long small, long large) {
        roomForSmall = Room.of(small);
        roomForLarge = Room.of(large);
    }

    private record Room(int permits, Semaphore free) {

        static Room of(long bytes) {
            int permits = Math.clamp(bytes / PERMIT_BYTES, 1, Integer.MAX_VALUE);
            return new Room(permits, new Semaphore(permits, true));
        }
    }

    /** Returns a lease for one object, which takes no memory yet. The caller closes it when it no longer needs the content. */
    public Lease lease(Duration timeout) {
        return new Lease(timeout);
    }

    /** Reserved memory for one object. Used by one thread at a time. */
    public final class Lease implements AutoCloseable {

        private final Duration timeout;
        private Room room = roomForSmall;
        private int taken;

        private Lease(Duration timeout) {
            this.timeout = timeout;
        }

        /**
         * Reserves memory for a content, in place of what this lease had reserved before. Waits until other leases are closed.
         *
         * @throws SoftcallException {@code OVERLOADED} if that takes too long
         */
        public void take(long bytes) {
            close();
            long permits = bytes / PERMIT_BYTES + 1;
            room = permits > roomForSmall.permits() / LARGE ? roomForLarge : roomForSmall;
            int wanted = (int) Math.min(room.permits(), permits);
            try {
                if (!room.free().tryAcquire(wanted, timeout.toNanos(), TimeUnit.NANOSECONDS)) {
                    throw SoftcallException.overloaded(
                            "other artifacts are being loaded, and take all memory for loading", timeout);
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new SoftcallException(
                        SoftcallException.Reason.DEADLINE_EXCEEDED,
                        "waiting for memory to load an artifact was interrupted",
                        e);
            }
            taken = wanted;
        }

        /** Runs work on the content, as {@link Workers#call(Workers.Work)} does. */
        public <T, E extends Exception> T run(Workers.Work<T, E> work) throws E {
            return workers.call(work);
        }

        /** Runs work on the content with a time limit. */
        public <T, E extends Exception> T run(Workers.Work<T, E> work, Duration limit, Supplier<SoftcallException> late)
                throws E {
            return workers.call(work, limit, late);
        }

        @Override
        public void close() {
            room.free().release(taken);
            taken = 0;
        }
    }
}
