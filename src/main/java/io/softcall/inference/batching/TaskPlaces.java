package io.softcall.inference.batching;

import io.softcall.task.TaskName;
import java.util.HashMap;
import java.util.Map;

/**
 * Places, of which a task may have at most as many as are free. So a task that floods the server leaves room for others (Choudhury
 * and Hahne 1998, Dynamic queue length thresholds). Not safe for use by several threads.
 */
public final class TaskPlaces {

    private final int capacity;
    private int taken;
    private final Map<TaskName, Integer> takenByTask = new HashMap<>();

    public TaskPlaces(int capacity) {
        this.capacity = capacity;
    }

    public int capacity() {
        return capacity;
    }

    public int taken() {
        return taken;
    }

    public int free() {
        return capacity - taken;
    }

    /** Returns the places that a task has. */
    public int of(TaskName task) {
        return takenByTask.getOrDefault(task, 0);
    }

    /** Returns whether a task may have more places now. */
    public boolean allows(TaskName task, int more) {
        return of(task) + more <= free();
    }

    /** Counts places that a task takes; {@code places} is negative for those that it gives back. */
    public void add(TaskName task, int places) {
        taken += places;
        takenByTask.merge(task, places, (before, more) -> before + more == 0 ? null : before + more);
    }
}
