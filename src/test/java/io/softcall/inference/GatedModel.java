package io.softcall.inference;

import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Decoding;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.opening.Opening;
import io.softcall.task.ReadyPrefix;
import io.softcall.task.SoftPrompt;
import jakarta.enterprise.inject.Alternative;
import jakarta.enterprise.inject.Disposes;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;

/** A real model whose forward passes wait while a test keeps the gate shut. */
public final class GatedModel implements Model {

    /** Puts the gate in front of the model of a server. */
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

    /** Shuts the gate. Counting down the latch lets through the batches that arrive before the next call of this method. */
    public CountDownLatch shut() {
        gate = new CountDownLatch(1);
        atGate.drainPermits();
        return gate;
    }

    public void open() {
        gate.countDown();
    }

    /** Lets through the batches that wait at the gate, and no others. The returned latch is like that of {@link #shut}. */
    public CountDownLatch letThrough() {
        CountDownLatch before = gate;
        CountDownLatch next = shut();
        before.countDown();
        return next;
    }

    /** Waits until a batch is at the gate. */
    public void awaitRun() {
        try {
            atGate.acquire();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Makes each prompt wait until the returned latch is counted down. */
    public CountDownLatch shutEncoder() {
        encoderGate = new CountDownLatch(1);
        return encoderGate;
    }

    /** Returns the number of sequences of all batches so far, including those at the gate. */
    public int rows() {
        return runs.stream().mapToInt(List::size).sum();
    }

    /** Makes each batch fail. */
    public void breakDown() {
        breakDown(new IllegalStateException("broken by the test"));
    }

    /** Makes each batch fail with this exception. */
    public void breakDown(RuntimeException failure) {
        this.failure = Optional.of(failure);
    }

    /** Returns all batches so far, in order. */
    public List<List<Sequence>> runs() {
        return runs;
    }

    /** Returns for each batch so far whether it was exclusive, in order. */
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
    public Prefix encode(SoftPrompt prompt) {
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
        // A test that knows of this batch may shut the next gate, so the current gate is read first.
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
    public Prefix none() {
        return model.none();
    }

    @Override
    public Optional<String> decodingObstacle() {
        return model.decodingObstacle();
    }

    @Override
    public Decoding decoding(int places, int positions) {
        return model.decoding(places, positions);
    }

    @Override
    public void close() {
        model.close();
    }
}
