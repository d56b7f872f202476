package io.softcall.inference.decoding;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.batching.Batcher;
import io.softcall.inference.batching.Steps;
import io.softcall.inference.model.Model;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The lanes of all inference threads. A sequence stays in the lane that had the fewest when it came, because its keys and
 * values are there.
 */
public final class Lanes implements Steps {

    private final Batcher batcher;
    private final List<Lane> lanes;
    private final Duration maxPause;
    private boolean stopped;

    /**
     * Creates a lane for each thread of the batcher, which runs them from now on.
     *
     * @param places the sequences of one lane that are decoded side by side
     * @param positions the tokens of the longest sequence with its prompt
     * @param maxPause how long a batch may keep steps waiting
     */
    public Lanes(Model model, Batcher batcher, int places, int positions, Duration maxPause) {
        this.batcher = batcher;
        this.maxPause = maxPause;
        this.lanes = IntStream.range(0, batcher.threads())
                .mapToObj(thread -> new Lane(places, () -> model.decoding(places, positions)))
                .toList();
        batcher.interleave(this);
    }

    /** Starts to decode a sequence, or goes on with one that has paused. */
    public void add(DecodedSequence sequence) {
        synchronized (this) {
            if (!stopped) {
                lanes.stream()
                        .min(Comparator.comparingInt(Lane::load))
                        .orElseThrow()
                        .add(sequence);
                batcher.wakeForSteps();
                return;
            }
        }
        sequence.release();
        sequence.chooser().fail(stopping());
        sequence.chooser().left();
    }

    private static SoftcallException stopping() {
        return new SoftcallException(Reason.STOPPING, "the server is stopping");
    }

    /** Returns the number of sequences that are being decoded, or wait for a place. */
    public int load() {
        return lanes.stream().mapToInt(Lane::load).sum();
    }

    @Override
    public boolean isReady(int thread) {
        return lanes.get(thread).load() > 0;
    }

    @Override
    public boolean isActive() {
        return load() > 0;
    }

    @Override
    public void step(int thread) {
        lanes.get(thread).step();
    }

    @Override
    public Duration maxPause() {
        return maxPause;
    }

    @Override
    public void stop(int thread) {
        synchronized (this) {
            stopped = true;
        }
        lanes.get(thread).stop(stopping());
    }
}
