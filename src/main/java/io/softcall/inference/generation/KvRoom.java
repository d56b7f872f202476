package io.softcall.inference.generation;

import io.softcall.task.TaskName;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/**
 * The room for keys and values, in tokens. Who gets no room at once waits. Tasks take turns, so that a task with many long
 * answers does not keep others waiting.
 */
final class KvRoom {

    private final long capacity;
    /** Guarded by this object, like {@link #waiting}. */
    private long free;

    private final SequencedMap<TaskName, Deque<Waiting>> waiting = new LinkedHashMap<>();

    /** One who waits for room. */
    record Waiting(TaskName task, long tokens, Runnable granted) {}

    /** @param capacity the tokens for which there is room, at least 1 */
    KvRoom(long capacity) {
        this.capacity = capacity;
        this.free = capacity;
    }

    long capacity() {
        return capacity;
    }

    /** Returns how many tokens have their room. */
    synchronized long taken() {
        return capacity - free;
    }

    /**
     * Takes room, now or later.
     *
     * @param tokens at most {@link #capacity}
     * @param granted called once when the room is taken, by this thread or by one that gives room back; it must not block
     */
    Waiting take(TaskName task, long tokens, Runnable granted) {
        Waiting one = new Waiting(task, tokens, granted);
        synchronized (this) {
            waiting.computeIfAbsent(task, name -> new ArrayDeque<>()).addLast(one);
        }
        grant();
        return one;
    }

    /** Gives up waiting. @return false if the room was taken before */
    boolean withdraw(Waiting one) {
        boolean withdrawn;
        synchronized (this) {
            Deque<Waiting> own = waiting.getOrDefault(one.task(), new ArrayDeque<>());
            withdrawn = own.remove(one);
            if (withdrawn && own.isEmpty()) {
                waiting.remove(one.task());
            }
        }
        grant();
        return withdrawn;
    }

    void giveBack(long tokens) {
        synchronized (this) {
            free += tokens;
        }
        grant();
    }

    private void grant() {
        next().forEach(granted -> granted.granted().run());
    }

    /** Takes the room of those whose turn it is. The first one that does not fit keeps its turn, so large ones are served too. */
    private synchronized List<Waiting> next() {
        List<Waiting> granted = new ArrayList<>();
        while (!waiting.isEmpty()) {
            Deque<Waiting> first = waiting.firstEntry().getValue();
            if (first.getFirst().tokens() > free) {
                break;
            }
            Waiting one = first.removeFirst();
            free -= one.tokens();
            granted.add(one);
            TaskName task = waiting.firstEntry().getKey();
            waiting.remove(task);
            if (!first.isEmpty()) {
                waiting.putLast(task, first);
            }
        }
        return granted;
    }
}
