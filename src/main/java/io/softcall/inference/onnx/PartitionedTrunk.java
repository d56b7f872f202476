package io.softcall.inference.onnx;

import io.softcall.inference.model.Device;
import io.softcall.inference.model.Model;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/**
 * A trunk for one run on all cores, and the same trunk for several runs that have some of the cores each. Threads that share a
 * run wait for each other a thousand times in it, and hand each other what the next operation reads; threads that have runs of
 * their own do neither (docs/batching.md has what that is worth). The second trunk maps the same weights. It is opened when runs
 * first come together; until then, and where it cannot be had, they take turns at the first.
 */
public final class PartitionedTrunk implements AutoCloseable {

    private static final Logger LOG = Logger.getLogger(PartitionedTrunk.class);

    private final Trunk whole;
    private final Optional<Supplier<Optional<Trunk>>> opening;
    /** Runs on all cores, one after the other. */
    private final ReentrantLock turn = new ReentrantLock(true);

    /** The second trunk; guarded by {@code whole}. */
    private Optional<CompletableFuture<Optional<Trunk>>> begun = Optional.empty();

    private PartitionedTrunk(Trunk whole, Optional<Supplier<Optional<Trunk>>> opening) {
        this.whole = whole;
        this.opening = opening;
    }

    /**
     * @param whole closed with this
     * @param opening opens the trunk with the threads of one of several runs; empty: it cannot be had
     */
    public static PartitionedTrunk of(Trunk whole, Supplier<Optional<Trunk>> opening) {
        return new PartitionedTrunk(whole, Optional.of(opening));
    }

    /** A trunk whose runs share what computes as it sees fit: a GPU's, or one whose runs are one at a time anyway. */
    public static PartitionedTrunk single(Trunk trunk) {
        return new PartitionedTrunk(trunk, Optional.empty());
    }

    Trunk whole() {
        return whole;
    }

    /** As {@link Model#forward}. */
    float[][] forward(List<Model.Sequence> batch, boolean exclusive, Device device, PrefixForm form) {
        if (opening.isEmpty()) {
            return whole.forward(batch, device, form);
        }
        Optional<Trunk> part = exclusive ? Optional.empty() : part();
        if (part.isPresent()) {
            return part.get().forward(batch, device, form);
        }
        turn.lock();
        try {
            return whole.forward(batch, device, form);
        } finally {
            turn.unlock();
        }
    }

    /** Whether runs that are not alone have a trunk of their own by now. */
    boolean isOpen() {
        synchronized (whole) {
            return begun.flatMap(parts -> parts.getNow(Optional.empty())).isPresent();
        }
    }

    private Optional<Trunk> part() {
        synchronized (whole) {
            if (begun.isEmpty()) {
                begun = Optional.of(OpeningThreads.begin("open-trunk-again", opening.orElseThrow())
                        .exceptionally(e -> {
                            LOG.warnf("runs take turns on all cores: %s", e.getMessage());
                            return Optional.empty();
                        }));
            }
            return begun.get().getNow(Optional.empty());
        }
    }

    @Override
    public void close() {
        synchronized (whole) {
            begun.flatMap(CompletableFuture::join).ifPresent(Trunk::close);
        }
        whole.close();
    }
}
