package io.softcall.task.catalog;

import io.softcall.SoftcallException;
import io.softcall.store.mirror.Mirrors;
import io.softcall.task.TaskName;
import java.io.IOException;
import java.util.Optional;

/**
 * The command {@code rollback TASK}: makes a mirror serve the previous version of a task again. Needs no base and no running
 * server.
 */
public final class RollBack {

    private RollBack() {}

    /** @param arguments the address of the mirror, and the name of the task */
    public static void main(String... arguments) {
        if (arguments.length != 2) {
            fail("expected rollback TASK");
        }
        try {
            TaskName task = new TaskName(arguments[1]);
            Optional<String> version = Mirrors.rollBack(arguments[0], task.key());
            if (version.isEmpty()) {
                fail("the mirror holds no version of task \"%s\" before the served one".formatted(task));
            }
            System.out.printf("%s %s%n", task, version.get());
        } catch (IOException | IllegalArgumentException | SoftcallException e) {
            fail(e.getMessage());
        }
    }

    private static void fail(String message) {
        System.err.println("rollback: " + message);
        System.exit(1);
    }
}
