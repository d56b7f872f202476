package io.softcall.inference.decoding;

import io.softcall.SoftcallException;
import io.softcall.inference.decoding.TokenChooser.State;
import io.softcall.inference.model.Decoding;
import io.softcall.inference.sampling.Workspace;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/**
 * Sequences that one thread decodes side by side. After each step sequences join, leave, or give up their places for a while
 * (Yu et al. 2022, Orca). The sequences in places are the first ones without holes: the last one moves into a hole.
 */
final class Lane {

    private static final Logger LOG = Logger.getLogger(Lane.class);

    private final int places;
    private final Supplier<Decoding> opening;
    /** Sequences that wait for a place, by call. Calls take turns. Guarded by itself. */
    private final SequencedMap<Object, Deque<DecodedSequence>> waiting = new LinkedHashMap<>();
    /** The sequences in places. Only the thread of this lane uses it. */
    private final List<DecodedSequence> placed = new ArrayList<>();
    /** Null before the first sequence. Only the thread of this lane uses it. */
    private Decoding decoding;

    private Workspace workspace;

    private final AtomicInteger load = new AtomicInteger();

    /** @param opening allocates {@code places} places; called once, by the thread of this lane */
    Lane(int places, Supplier<Decoding> opening) {
        this.places = places;
        this.opening = opening;
    }

    /** Returns the number of sequences here, waiting or not. */
    int load() {
        return load.get();
    }

    void add(DecodedSequence sequence) {
        synchronized (waiting) {
            waiting.computeIfAbsent(sequence.call(), call -> new ArrayDeque<>()).addLast(sequence);
            load.incrementAndGet();
        }
    }

    private List<DecodedSequence> take(int most) {
        List<DecodedSequence> taken = new ArrayList<>();
        synchronized (waiting) {
            while (!waiting.isEmpty() && taken.size() < most) {
                var first = waiting.pollFirstEntry();
                taken.add(first.getValue().removeFirst());
                if (!first.getValue().isEmpty()) {
                    waiting.putLast(first.getKey(), first.getValue());
                }
            }
        }
        return taken;
    }

    /** Lets sequences join and leave, and computes one token of each sequence in a place. */
    void step() {
        List<DecodedSequence> joining = new ArrayList<>();
        try {
            if (decoding == null) {
                decoding = opening.get();
                workspace = new Workspace(decoding.vocabulary());
            }
            makeRoom();
            joining.addAll(take(places - placed.size()));
            join(joining);
            if (!placed.isEmpty()) {
                decode();
            }
        } catch (RuntimeException | Error e) {
            log(placed.size() + joining.size(), e);
            failAll(joining, e);
        }
    }

    /** Fails the sequences in places and those that were about to join; all that wait, too, if there are no places at all. */
    private void failAll(List<DecodedSequence> joining, Throwable problem) {
        List<DecodedSequence> all = new ArrayList<>(joining);
        all.addAll(placed);
        if (decoding == null) {
            all.addAll(take(Integer.MAX_VALUE));
        }
        for (int place = 0; place < placed.size(); place++) {
            decoding.clear(place);
        }
        placed.clear();
        all.forEach(sequence -> fail(sequence, problem));
    }

    /** Logs a stack trace only if the cause is unknown. */
    private static void log(int sequences, Throwable problem) {
        if (problem instanceof SoftcallException known) {
            LOG.warnf("a step of %d sequences failed: %s: %s", sequences, known.reason(), known.getMessage());
        } else {
            LOG.errorf(problem, "a step of %d sequences failed", sequences);
        }
    }

    /** Takes the places of sequences that nobody wants, or that pause. */
    private void makeRoom() {
        for (int place = placed.size() - 1; place >= 0; place--) {
            DecodedSequence sequence = placed.get(place);
            State state = sequence.chooser().state();
            if (state == State.PAUSED) {
                sequence.leaveFor(decoding.copy(place, sequence.length()));
                removeFrom(place);
                load.decrementAndGet();
                sequence.chooser().parked(sequence);
            } else if (state == State.CANCELLED) {
                removeFrom(place);
                end(sequence);
            }
        }
    }

    /** @param joining those that have ended, or have a place, are removed from it */
    private void join(List<DecodedSequence> joining) {
        for (DecodedSequence sequence : List.copyOf(joining)) {
            if (sequence.chooser().state() == State.CANCELLED) {
                joining.remove(sequence);
                end(sequence);
            }
        }
        List<DecodedSequence> fresh =
                joining.stream().filter(DecodedSequence::isNew).toList();
        if (!fresh.isEmpty()) {
            float[] logits =
                    decoding.logits(fresh.stream().map(DecodedSequence::hidden).toList());
            for (int i = 0; i < fresh.size(); i++) {
                if (!choose(fresh.get(i), logits, i)) {
                    joining.remove(fresh.get(i));
                }
            }
        }
        while (!joining.isEmpty()) {
            joining.getFirst().enter(decoding, placed.size());
            placed.add(joining.removeFirst());
        }
    }

    private void decode() {
        long[] ids = placed.stream().mapToLong(DecodedSequence::last).toArray();
        int[] lengths = placed.stream().mapToInt(DecodedSequence::length).toArray();
        float[] logits = decoding.step(ids, lengths);
        // From the last one, so that a sequence that moves into a hole has chosen already.
        for (int place = placed.size() - 1; place >= 0; place--) {
            placed.get(place).grow();
            if (!choose(placed.get(place), logits, place)) {
                removeFrom(place);
            }
        }
    }

    /** Chooses the next token of a sequence. Ends the sequence if there is none, or if choosing fails. */
    private boolean choose(DecodedSequence sequence, float[] logits, int row) {
        try {
            if (sequence.choose(logits, row * decoding.vocabulary(), workspace)) {
                return true;
            }
            end(sequence);
        } catch (RuntimeException e) {
            fail(sequence, e);
        }
        return false;
    }

    /** Closes the hole that a sequence leaves with the last one. */
    private void removeFrom(int place) {
        int last = placed.size() - 1;
        if (place < last) {
            decoding.move(last, place, placed.get(last).length());
            placed.set(place, placed.get(last));
        }
        placed.removeLast();
        decoding.clear(last);
    }

    private void end(DecodedSequence sequence) {
        load.decrementAndGet();
        sequence.release();
        sequence.chooser().left();
    }

    private void fail(DecodedSequence sequence, Throwable problem) {
        sequence.chooser().fail(problem);
        end(sequence);
    }

    /** Fails all sequences. Called by the thread of this lane, or when it has ended. */
    void stop(RuntimeException reason) {
        List<DecodedSequence> all = new ArrayList<>(placed);
        placed.clear();
        all.addAll(take(Integer.MAX_VALUE));
        all.forEach(sequence -> fail(sequence, reason));
        if (decoding != null) {
            decoding.close();
            decoding = null;
        }
    }
}
