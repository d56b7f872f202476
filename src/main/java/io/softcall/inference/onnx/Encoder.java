package io.softcall.inference.onnx;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.model.Prefix;
import io.softcall.task.Prompt;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/**
 * A full-precision trunk that is opened when a prompt comes, and given back when none has come for a while. Start-up does not look at
 * its weights, which most servers need seldom: where they are damaged, prompts are told so, while all others go on.
 */
final class Encoder implements AutoCloseable {

    private static final Logger LOG = Logger.getLogger(Encoder.class);

    /** How long nobody tries again what has failed: it costs as much as what works, and files are mended by people. */
    private static final Duration PAUSE = Duration.ofSeconds(10);

    private final Supplier<Trunk> opener;
    private final Duration idle;
    /** Null while closed. Guarded by this object, as the four below. */
    private Trunk trunk;

    private boolean checked;
    private boolean ended;
    private long usedNanos;
    private Optional<Failure> failure = Optional.empty();

    /** Why the trunk could not be opened, and when. */
    private record Failure(SoftcallException problem, long nanos) {

        boolean isRecent() {
            return System.nanoTime() - nanos < PAUSE.toNanos();
        }
    }

    Encoder(Supplier<Trunk> opener, Duration idle) {
        this.opener = opener;
        this.idle = idle;
    }

    /**
     * The golden row is checked when the trunk is opened for the first time.
     *
     * @param form of the trunk that texts run through
     * @throws SoftcallException {@code BASE_UNAVAILABLE} when the trunk cannot be opened, or does not hold the golden row
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
        failure.filter(Failure::isRecent).ifPresent(last -> {
            throw last.problem().again();
        });
        long began = System.nanoTime();
        try {
            trunk = checked ? opener.get() : opener.get().checked();
        } catch (RuntimeException e) {
            SoftcallException problem = new SoftcallException(
                            Reason.BASE_UNAVAILABLE, "the base's full-precision trunk cannot be used", e)
                    .withDetail("%s", e.getMessage());
            LOG.errorf("prompts without a ready prefix are answered 503: %s", problem.getMessage());
            failure = Optional.of(new Failure(problem, System.nanoTime()));
            throw problem;
        }
        checked = true;
        failure = Optional.empty();
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
