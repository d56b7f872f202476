package io.softcall.inference;

import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.opening.Opening;
import io.softcall.task.Prompt;
import io.softcall.task.ReadyPrefix;
import jakarta.enterprise.inject.Alternative;
import jakarta.enterprise.inject.Disposes;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;

/** A real model whose runs wait while a test holds the gate shut. */
public final class GatedModel implements Model {

    /** Puts the gate in front of a server's model. */
    @Alternative
    public static final class Producer {

        @Produces
        @Alternative
        @Singleton
        GatedModel model(Opening opening) {
            return new GatedModel(opening.model());
        }

        void close(@Disposes GatedModel model) {
            model.close();
        }
    }

    private final Model model;
    private final List<List<Sequence>> runs = new CopyOnWriteArrayList<>();
    private final List<Boolean> exclusive = new CopyOnWriteArrayList<>();
    private final Semaphore atGate = new Semaphore(0);
    private volatile CountDownLatch gate = new CountDownLatch(0);
    private volatile Optional<RuntimeException> failure = Optional.empty();
    private volatile CountDownLatch encoderGate = new CountDownLatch(0);

    public GatedModel(Model model) {
        this.model = model;
    }

    /** From now on runs wait; counting down the latch lets through those that have come before the next call. */
    public CountDownLatch shut() {
        gate = new CountDownLatch(1);
        atGate.drainPermits();
        return gate;
    }

    public void open() {
        gate.countDown();
    }

    /** Lets those that stand before the gate through, and nobody else; the latch is that of {@link #shut}. */
    public CountDownLatch letThrough() {
        CountDownLatch before = gate;
        CountDownLatch next = shut();
        before.countDown();
        return next;
    }

    /** Waits until a run stands before the gate. */
    public void awaitRun() {
        try {
            atGate.acquire();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** From now on each prompt waits, until the returned latch is counted down. */
    public CountDownLatch shutEncoder() {
        encoderGate = new CountDownLatch(1);
        return encoderGate;
    }

    /** Rows of all runs so far, those before the gate included. */
    public int rows() {
        return runs.stream().mapToInt(List::size).sum();
    }

    /** From now on each run fails. */
    public void breakDown() {
        breakDown(new IllegalStateException("broken by the test"));
    }

    /** The same, in this way. */
    public void breakDown(RuntimeException failure) {
        this.failure = Optional.of(failure);
    }

    /** All runs so far, in order. */
    public List<List<Sequence>> runs() {
        return runs;
    }

    /** Which of the runs so far had all cores, in order. */
    public List<Boolean> exclusive() {
        return exclusive;
    }

    @Override
    public Bundle bundle() {
        return model.bundle();
    }

    @Override
    public Device device() {
        return model.device();
    }

    @Override
    public Prefix encode(Prompt prompt) {
        await(encoderGate);
        return model.encode(prompt);
    }

    @Override
    public Prefix load(ReadyPrefix ready) {
        return model.load(ready);
    }

    @Override
    public float[][] forward(List<Sequence> batch, boolean exclusive) {
        runs.add(batch);
        this.exclusive.add(exclusive);
        // Whoever knows of this run may shut the next gate, so it takes the one before which it stands first.
        CountDownLatch before = gate;
        atGate.release();
        await(before);
        failure.ifPresent(e -> {
            throw e;
        });
        return model.forward(batch, exclusive);
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        model.close();
    }
}
