package io.softcall.inference.batching;

import io.softcall.SoftcallException;
import io.softcall.task.TaskName;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.IntFunction;

/**
 * The waiting requests in the order of their turns. Tasks take turns, and so do the requests of one task. The number of waiting
 * inputs is bounded. Not safe for use by several threads.
 */
final class FairQueue {

    private final TaskPlaces places;
    /** The requests with waiting inputs, by task. Tasks and requests are in the order of their turns. */
    private final SequencedMap<TaskName, Deque<QueuedRequest>> turns = new LinkedHashMap<>();

    private int size;
    /** @param capacity the number of inputs that may wait, apart from those that take no places */
    FairQueue(int capacity) {
        this.places = new TaskPlaces(capacity);
    }

    /** Returns the number of waiting inputs. */
    int size() {
        return size;
    }

    /** Returns the requests with waiting inputs. */
    List<QueuedRequest> requests() {
        return turns.values().stream().flatMap(Collection::stream).toList();
    }

    /** Returns the waiting inputs by task and by request, both in the order of their turns. */
    List<List<Deque<Input>>> turns() {
        return turns.values().stream()
                .map(requests -> requests.stream().map(QueuedRequest::waiting).toList())
                .toList();
    }

    /** Returns the request whose turn it is. */
    QueuedRequest first() {
        return turns.firstEntry().getValue().getFirst();
    }

    /**
     * Applies admission control, as {@link TaskPlaces} has it.
     *
     * @param inputs the number of inputs that need a place
     * @param drainTime returns the time in which a number of inputs is computed
     * @throws SoftcallException {@code OVERLOADED} if there are too few places
     */
    void requirePlaces(TaskName task, int inputs, IntFunction<Duration> drainTime) {
        if (!places.allows(task, inputs)) {
            throw SoftcallException.overloaded(
                    "task \"%s\" has %d waiting inputs; %d more would give it more than the %d of %d places that are free (softcall.batch.queue-rows)"
                            .formatted(task, places.of(task), inputs, places.free(), places.capacity()),
                    drainTime.apply(size));
        }
    }

    void add(QueuedRequest request) {
        turns.computeIfAbsent(request.task(), name -> new ArrayDeque<>()).addLast(request);
        count(request, request.waiting().size());
    }

    /** Removes the inputs of a batch. The task and the request whose turn it was go to the end of the order. */
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

    /**
     * Puts an input back, of which a chunk was computed. Its turn is the next one: so few inputs at a time hold the keys and
     * values of their chunks.
     */
    void putBack(Input input) {
        QueuedRequest request = input.request();
        Deque<QueuedRequest> requests = turns.getOrDefault(request.task(), new ArrayDeque<>());
        requests.remove(request);
        requests.addFirst(request);
        turns.remove(request.task());
        turns.putFirst(request.task(), requests);
        request.waiting().addFirst(input);
        count(request, 1);
    }

    /** Removes all waiting inputs of a request. @return how many it had */
    int remove(QueuedRequest request) {
        int removed = request.waiting().size();
        if (removed > 0) {
            List<Input> dropped = List.copyOf(request.waiting());
            request.waiting().clear();
            count(request, -removed);
            removeEmpty();
            dropped.forEach(Input::drop);
        }
        return removed;
    }

    /** Adds to the count of waiting inputs; {@code inputs} is negative for removed ones. */
    private void count(QueuedRequest request, int inputs) {
        size += inputs;
        if (request.takesPlaces()) {
            places.add(request.task(), inputs);
        }
    }

    private void removeEmpty() {
        turns.values()
                .forEach(requests ->
                        requests.removeIf(request -> request.waiting().isEmpty()));
        turns.values().removeIf(Deque::isEmpty);
    }
}
