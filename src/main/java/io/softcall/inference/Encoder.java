package io.softcall.inference;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.task.Prompt;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/** A full-precision trunk that is opened when a prompt comes, and given back when none has come for a while. */
final class Encoder implements AutoCloseable {

    private static final Logger LOG = Logger.getLogger(Encoder.class);

    private final Supplier<Trunk> opener;
    private final Duration idle;
    /** Null while closed. Guarded by this object, as the three below. */
    private Trunk trunk;

    private boolean checked;
    private boolean ended;
    private long usedNanos;

    Encoder(Supplier<Trunk> opener, Duration idle) {
        this.opener = opener;
        this.idle = idle;
    }

    /**
     * The golden row is checked when the trunk is opened for the first time.
     *
     * @param form of the trunk that texts run through
     */
    synchronized Prefix encode(Prompt prompt, PrefixForm form) {
        if (ended) {
            throw new SoftcallException(Reason.STOPPING, "the server is stopping");
        }
        if (trunk == null) {
            open();
        }
        try {
            return trunk.encode(prompt, form);
        } finally {
            usedNanos = System.nanoTime();
        }
    }

    private void open() {
        long began = System.nanoTime();
        Trunk opened = opener.get();
        if (!checked) {
            opened.checkGolden();
            checked = true;
        }
        trunk = opened;
        closeIn(idle.toNanos());
        LOG.infof("the full-precision trunk is open, %d ms", (System.nanoTime() - began) / 1_000_000);
    }

    private void closeIn(long nanos) {
        CompletableFuture.delayedExecutor(nanos, TimeUnit.NANOSECONDS).execute(this::closeIfIdle);
    }

    private synchronized void closeIfIdle() {
        long left = usedNanos + idle.toNanos() - System.nanoTime();
        if (left > 0) {
            closeIn(left);
        } else {
            release();
        }
    }

    private void release() {
        if (trunk != null) {
            trunk.close();
            trunk = null;
        }
    }

    /** Whether the trunk is in memory now. */
    synchronized boolean isOpen() {
        return trunk != null;
    }

    @Override
    public synchronized void close() {
        ended = true;
        release();
    }
}
