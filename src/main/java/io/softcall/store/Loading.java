package io.softcall.store;

import io.softcall.SoftcallException;
import io.softcall.Workers;
import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * Contents of objects on their way from a store to what is made of them: read, hashed, parsed. There is room for so many bytes at
 * once, that many large ones at the same moment do not fill the heap; and the work is done on threads of its own.
 */
public final class Loading {

    private static final int PERMIT_BYTES = 1_024;
    private static final int WAITING = 1_024;

    private final int permits;
    private final Semaphore room;
    private final Workers workers =
            new Workers("artifacts", Runtime.getRuntime().availableProcessors(), WAITING);

    /** @param bytes of contents at once; a larger one has them all */
    public Loading(long bytes) {
        permits = Math.clamp(bytes / PERMIT_BYTES, 1, Integer.MAX_VALUE);
        room = new Semaphore(permits);
    }

    /** For one object; nothing is taken yet. Closed when its content is no longer needed. */
    public Lease lease(Duration timeout) {
        return new Lease(timeout);
    }

    /** Room for one object. Used by one thread at a time. */
    public final class Lease implements AutoCloseable {

        private final Duration timeout;
        private int taken;

        private Lease(Duration timeout) {
            this.timeout = timeout;
        }

        /**
         * Takes room for a content, in place of what was taken before. Waits for others to leave.
         *
         * @throws SoftcallException {@code OVERLOADED} when that takes too long
         */
        public void take(long bytes) {
            close();
            int wanted = (int) Math.min(permits, bytes / PERMIT_BYTES + 1);
            try {
                if (!room.tryAcquire(wanted, timeout.toNanos(), TimeUnit.NANOSECONDS)) {
                    throw SoftcallException.overloaded(
                            "other artifacts are being read, as many bytes of them as there is room for", timeout);
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new SoftcallException(
                        SoftcallException.Reason.DEADLINE_EXCEEDED, "waiting for room was interrupted", e);
            }
            taken = wanted;
        }

        /** Does something with the content; see {@link Workers#call(Workers.Work)}. */
        public <T, E extends Exception> T run(Workers.Work<T, E> work) throws E {
            return workers.call(work);
        }

        /** The same with a limit. */
        public <T, E extends Exception> T run(Workers.Work<T, E> work, Duration limit, Supplier<SoftcallException> late)
                throws E {
            return workers.call(work, limit, late);
        }

        @Override
        public void close() {
            room.release(taken);
            taken = 0;
        }
    }
}
