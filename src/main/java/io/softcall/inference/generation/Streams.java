package io.softcall.inference.generation;

import io.softcall.SoftcallException;
import io.softcall.inference.batching.TaskPlaces;
import io.softcall.task.TaskName;
import java.time.Duration;

/** The answers under way, of which a task may have as many as {@link TaskPlaces} allows. */
final class Streams {

    private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

    /** Guarded by this object. */
    private final TaskPlaces places;

    Streams(int capacity) {
        this.places = new TaskPlaces(capacity);
    }

    synchronized int taken() {
        return places.taken();
    }

    /** @throws SoftcallException {@code OVERLOADED} if {@link #take} would refuse as many answers now */
    synchronized void require(TaskName task, int answers) {
        if (!places.allows(task, answers)) {
            throw SoftcallException.overloaded(
                    "task \"%s\" has %d answers under way; %d more would give it more than the %d of %d places that are free (softcall.generation.streams)"
                            .formatted(task, places.of(task), answers, places.free(), places.capacity()),
                    RETRY_AFTER);
        }
    }

    /** @throws SoftcallException {@code OVERLOADED} if there are too few places */
    synchronized void take(TaskName task, int answers) {
        require(task, answers);
        places.add(task, answers);
    }

    synchronized void giveBack(TaskName task, int answers) {
        places.add(task, -answers);
    }
}
