package io.softcall.inference.onnx;

import io.softcall.inference.model.Device;
import io.softcall.inference.model.Model;
import io.softcall.inference.onnx.prefix.PrefixForm;
import io.softcall.inference.onnx.session.OpeningThreads;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/**
 * Two trunks of one variant: one computes a batch on all cores, and the other computes concurrent batches on a part of the
 * cores each. Threads that share a forward pass wait for each other a thousand times in it, and read what other cores have
 * written. Threads with forward passes of their own do neither; docs/batching.md has the measurements. The second trunk maps
 * the same weights. It is opened when batches first come at the same time. Until then, or if it cannot be opened, batches take
 * turns on the first trunk.
 */
public final class PartitionedTrunk implements AutoCloseable {

    private static final Logger LOG = Logger.getLogger(PartitionedTrunk.class);

    private final Trunk whole;
    private final Optional<Supplier<Optional<Trunk>>> opening;
    /** Makes batches on all cores take turns. */
    private final ReentrantLock turn = new ReentrantLock(true);

    /** The second trunk; guarded by {@code whole}. */
    private Optional<CompletableFuture<Optional<Trunk>>> begun = Optional.empty();

    private PartitionedTrunk(Trunk whole, Optional<Supplier<Optional<Trunk>>> opening) {
        this.whole = whole;
        this.opening = opening;
    }

    /**
     * @param whole the trunk on all cores; closed with this
     * @param opening opens the trunk with the threads of one of several concurrent batches; returns empty if that is impossible
     */
    public static PartitionedTrunk of(Trunk whole, Supplier<Optional<Trunk>> opening) {
        return new PartitionedTrunk(whole, Optional.of(opening));
    }

    /** Returns a trunk that is not partitioned: that of a GPU, or one that computes one batch at a time. */
    public static PartitionedTrunk single(Trunk trunk) {
        return new PartitionedTrunk(trunk, Optional.empty());
    }

    Trunk whole() {
        return whole;
    }

    /** Computes a batch as {@link Model#forward} does. */
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

    /** Returns whether the trunk for concurrent batches is open. */
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
                            LOG.warnf(
                                    "batches take turns on all cores, because the second trunk cannot be opened: %s",
                                    e.getMessage());
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
