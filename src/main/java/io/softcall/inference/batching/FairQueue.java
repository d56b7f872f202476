package io.softcall.inference.batching;

import io.softcall.SoftcallException;
import io.softcall.task.TaskName;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.IntFunction;

/**
 * The requests that wait, in the order of their turns: tasks take turns, and so do the requests of one task. Bounds how many inputs
 * wait. Not safe for use by several threads.
 */
final class FairQueue {

    private final int capacity;
    /** The requests that have inputs waiting, by task; both in the order in which their turns come. */
    private final SequencedMap<TaskName, Deque<QueuedRequest>> turns = new LinkedHashMap<>();

    private int size;
    /** Places that inputs of callers take, all together and by task. */
    private int taken;

    private final Map<TaskName, Integer> takenByTask = new HashMap<>();

    /** @param capacity inputs of callers that may wait */
    FairQueue(int capacity) {
        this.capacity = capacity;
    }

    /** Inputs that wait. */
    int size() {
        return size;
    }

    /** The requests that have inputs waiting. */
    List<QueuedRequest> requests() {
        return turns.values().stream().flatMap(Collection::stream).toList();
    }

    /** The waiting inputs of each task, whose turn comes first; of each task by request, likewise. */
    List<List<Deque<Input>>> turns() {
        return turns.values().stream()
                .map(requests -> requests.stream().map(QueuedRequest::waiting).toList())
                .toList();
    }

    /** The request whose turn it is. */
    QueuedRequest first() {
        return turns.firstEntry().getValue().getFirst();
    }

    /**
     * Admission control: a task may hold as many places as are free, so that one that floods the queue leaves room for others
     * (Choudhury and Hahne 1998, Dynamic queue length thresholds).
     *
     * @param drainTime the time in which so many inputs are computed
     * @throws SoftcallException {@code OVERLOADED} when so many more inputs find no places
     */
    void requirePlaces(TaskName task, int inputs, IntFunction<Duration> drainTime) {
        int free = capacity - taken;
        int own = takenByTask.getOrDefault(task, 0);
        if (own + inputs > free) {
            throw SoftcallException.overloaded(
                    "task \"%s\" has %d rows waiting; with %d more it would have more than the %d that are free of %d (softcall.batch.queue-rows)"
                            .formatted(task, own, inputs, free, capacity),
                    drainTime.apply(size));
        }
    }

    void add(QueuedRequest request) {
        turns.computeIfAbsent(request.task(), name -> new ArrayDeque<>()).addLast(request);
        count(request, request.waiting().size());
    }

    /** Takes the inputs of a batch out. The task and the request whose turn it was go behind the others. */
    void take(List<Input> batch) {
        var turn = turns.pollFirstEntry();
        turn.getValue().addLast(turn.getValue().removeFirst());
        turns.putLast(turn.getKey(), turn.getValue());
        for (Input input : batch) {
            input.request().waiting().remove(input);
            count(input.request(), -1);
        }
        removeEmpty();
    }

    /** Takes all waiting inputs of a request out. @return how many they were */
    int remove(QueuedRequest request) {
        int removed = request.waiting().size();
        if (removed > 0) {
            request.waiting().clear();
            count(request, -removed);
            removeEmpty();
        }
        return removed;
    }

    /** Counts inputs that have come, or, below zero, that wait no more. */
    private void count(QueuedRequest request, int inputs) {
        size += inputs;
        if (request.takesPlaces()) {
            taken += inputs;
            takenByTask.merge(request.task(), inputs, (before, more) -> before + more == 0 ? null : before + more);
        }
    }

    private void removeEmpty() {
        turns.values()
                .forEach(requests ->
                        requests.removeIf(request -> request.waiting().isEmpty()));
        turns.values().removeIf(Deque::isEmpty);
    }
}
