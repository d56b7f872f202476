package io.softcall.inference.generation;

import io.softcall.SoftcallException;
import io.softcall.task.TaskName;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/**
 * The number of answers under way. A task may have at most as many as are free, so that a task that floods the server leaves
 * room for others (Choudhury and Hahne 1998, Dynamic queue length thresholds).
 */
final class Streams {

    private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

    private final int capacity;
    /** Guarded by this object, like {@link #takenByTask}. */
    private int taken;

    private final Map<TaskName, Integer> takenByTask = new HashMap<>();

    Streams(int capacity) {
        this.capacity = capacity;
    }

    synchronized int taken() {
        return taken;
    }

    /** @throws SoftcallException {@code OVERLOADED} if {@link #take} would refuse as many answers now */
    synchronized void require(TaskName task, int answers) {
        int free = capacity - taken;
        int own = takenByTask.getOrDefault(task, 0);
        if (own + answers > free) {
            throw SoftcallException.overloaded(
                    "task \"%s\" has %d answers under way; %d more would give it more than the %d of %d places that are free (softcall.generation.streams)"
                            .formatted(task, own, answers, free, capacity),
                    RETRY_AFTER);
        }
    }

    /** @throws SoftcallException {@code OVERLOADED} if there are too few places */
    synchronized void take(TaskName task, int answers) {
        require(task, answers);
        add(task, answers);
    }

    synchronized void giveBack(TaskName task, int answers) {
        add(task, -answers);
    }

    private void add(TaskName task, int answers) {
        taken += answers;
        takenByTask.merge(task, answers, (before, more) -> before + more == 0 ? null : before + more);
    }
}
