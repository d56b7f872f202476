package io.softcall.inference.batching;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.model.Prefix;
import io.softcall.task.TaskName;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class FairQueueTest {

    private static final Prefix PREFIX = new Requests.Bare(8);
    private static final TaskName A = new TaskName("a");
    private static final TaskName B = new TaskName("b");

    private final FairQueue queue = new FairQueue(8);

    /** Half of the queue for the first task, half of the rest for the second, and so on. */
    @Test
    void aTaskMayHoldAsManyPlacesAsAreFree() {
        queue.requirePlaces(A, 8, FairQueueTest::seconds);
        assertRefused(A, 9);
        queue.add(Requests.of("a", PREFIX, 1, 1, 1, 1));
        assertRefused(A, 1);
        queue.requirePlaces(B, 4, FairQueueTest::seconds);
        assertRefused(B, 5);
        queue.add(Requests.of("b", PREFIX, 1, 1));
        queue.requirePlaces(B, 0, FairQueueTest::seconds);
        assertRefused(B, 1);
    }

    @Test
    void aRefusalSaysWhenToComeAgain() {
        queue.add(Requests.of("a", PREFIX, 1, 1, 1, 1));
        assertEquals(Duration.ofSeconds(4), assertRefused(A, 1).retryAfter());
    }

    @Test
    void boundedRequestsTakeNoPlaces() {
        queue.add(Requests.of("a", PREFIX, false, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1));
        assertEquals(10, queue.size());
        queue.requirePlaces(A, 8, FairQueueTest::seconds);
    }

    @Test
    void placesAreFreeAgainWhenInputsAreTakenOrRemoved() {
        QueuedRequest first = Requests.of("a", PREFIX, 1, 1);
        QueuedRequest second = Requests.of("a", PREFIX, 1, 1);
        queue.add(first);
        queue.add(second);
        queue.take(List.copyOf(first.waiting()));
        assertEquals(2, queue.size());
        assertEquals(2, queue.remove(second));
        assertEquals(0, queue.remove(second));
        assertEquals(0, queue.size());
        assertEquals(List.of(), queue.requests());
        queue.requirePlaces(A, 8, FairQueueTest::seconds);
    }

    @Test
    void whoseTurnItWasGoesBehindTheOthers() {
        QueuedRequest one = Requests.of("a", PREFIX, 1, 1);
        QueuedRequest two = Requests.of("a", PREFIX, 1, 1);
        QueuedRequest other = Requests.of("b", PREFIX, 1, 1);
        queue.add(one);
        queue.add(two);
        queue.add(other);
        assertEquals(one, queue.first());
        queue.take(List.of(one.waiting().getFirst()));
        assertEquals(other, queue.first());
        queue.take(List.of(other.waiting().getFirst()));
        assertEquals(two, queue.first());
        assertEquals(List.of(two, one, other), queue.requests());
        assertEquals(List.of(List.of(two.waiting(), one.waiting()), List.of(other.waiting())), queue.turns());
    }

    private SoftcallException assertRefused(TaskName task, int inputs) {
        SoftcallException refused =
                assertThrows(SoftcallException.class, () -> queue.requirePlaces(task, inputs, FairQueueTest::seconds));
        assertEquals(Reason.OVERLOADED, refused.reason());
        return refused;
    }

    private static Duration seconds(int waiting) {
        return Duration.ofSeconds(waiting);
    }
}
