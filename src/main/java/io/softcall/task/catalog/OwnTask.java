package io.softcall.task.catalog;

import io.softcall.task.StoredTask;
import io.softcall.task.TaskName;
import java.util.Optional;

/**
 * A task that no store holds: the base itself, without a prompt. It hides a stored task of its name.
 *
 * @param task empty if there is none
 */
public record OwnTask(Optional<StoredTask> task) {

    /** Returns the task if it has this name. */
    Optional<StoredTask> named(TaskName name) {
        return task.filter(own -> own.task().name().equals(name));
    }
}
