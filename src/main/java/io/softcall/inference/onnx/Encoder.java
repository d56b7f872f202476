package io.softcall.inference.onnx;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.prefix.PrefixForm;
import io.softcall.task.SoftPrompt;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/**
 * A full-precision trunk that is opened for a prompt, and closed when no prompt has come for a while. Startup does not read its
 * weights, because most servers seldom need them. If they are damaged, only prompts without a ready prefix fail.
 */
final class Encoder implements AutoCloseable {

    private static final Logger LOG = Logger.getLogger(Encoder.class);

    private final Supplier<Trunk> opener;
    private final Duration idle;
    /** Null while closed. Guarded by this object, like the four fields below. */
    private Trunk trunk;

    private boolean checked;
    private boolean ended;
    private long usedNanos;
    private Optional<RecentFailure> failure = Optional.empty();

    Encoder(Supplier<Trunk> opener, Duration idle) {
        this.opener = opener;
        this.idle = idle;
    }

    /**
     * Computes a prompt's KV cache. The golden row is checked when the trunk is opened for the first time.
     *
     * @param form the form in which the served trunk takes prefixes
     * @throws SoftcallException {@code BASE_UNAVAILABLE} if the trunk cannot be opened or does not reproduce the golden row;
     *     {@code STOPPING} if this is closed
     */
    synchronized Prefix encode(SoftPrompt prompt, PrefixForm form) {
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
        failure.filter(RecentFailure::isRecent).ifPresent(last -> {
            throw last.problem().again();
        });
        long began = System.nanoTime();
        try {
            trunk = checked ? opener.get() : opener.get().checked();
        } catch (RuntimeException e) {
            RecentFailure now = RecentFailure.of("the base's full-precision trunk", e);
            LOG.errorf(
                    "prompts without a ready prefix are answered 503: %s",
                    now.problem().getMessage());
            failure = Optional.of(now);
            throw now.problem();
        }
        checked = true;
        failure = Optional.empty();
        closeIn(idle.toNanos());
        LOG.infof("opened the full-precision trunk in %d ms", (System.nanoTime() - began) / 1_000_000);
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

    /** Returns whether the trunk is open now. */
    synchronized boolean isOpen() {
        return trunk != null;
    }

    @Override
    public synchronized void close() {
        ended = true;
        release();
    }
}
