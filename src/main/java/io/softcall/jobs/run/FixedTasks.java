package io.softcall.jobs.run;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.Scheduler;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.jobs.run.Folder.Fixed;
import io.softcall.store.RetryPolicy;
import io.softcall.task.StoredTask;
import io.softcall.task.TaskName;
import io.softcall.task.catalog.Tasks;
import java.time.Duration;
import java.util.Locale;

/**
 * The tasks of jobs. A job uses each task in the version that was stored at its first use. The job's folder keeps a
 * copy, so the version stays fixed whatever happens to the task.
 */
public final class FixedTasks {

    /** Part of the heap for the parsed artifacts of jobs in progress: some of the largest, which take up to 64 MB each. */
    private static final int PART_OF_THE_HEAP = 8;

    /** Time until an unused task is dropped: its job may have ended, and reading the copy again takes milliseconds. */
    private static final Duration KEPT = Duration.ofMinutes(1);

    private static final int ERROR_BYTES = 1_024;

    private final Tasks tasks;
    private final RetryPolicy retryPolicy;
    private final Cache<Key, Version> cache = Caffeine.newBuilder()
            .maximumWeight(Runtime.getRuntime().maxMemory() / PART_OF_THE_HEAP)
            .weigher((Key key, Version version) -> version.bytes())
            .expireAfterAccess(KEPT)
            .scheduler(Scheduler.systemScheduler())
            .build();

    private record Key(String job, TaskName task) {}

    /** A task as a job uses it. */
    sealed interface Version {

        record Present(StoredTask stored) implements Version {}

        /** A task without a usable version: all its rows have this error. */
        record Absent(String code, String message) implements Version {}

        private int bytes() {
            return this instanceof Present(StoredTask stored)
                    ? (int) Math.min(stored.heapBytes(), Integer.MAX_VALUE)
                    : ERROR_BYTES;
        }
    }

    public FixedTasks(Tasks tasks, RetryPolicy retryPolicy) {
        this.tasks = tasks;
        this.retryPolicy = retryPolicy;
    }

    /** Returns the version that a job uses; the first call fixes it. */
    Version get(Folder folder, TaskName name) {
        return cache.get(new Key(folder.job(), name), key -> {
            Fixed fixed = folder.read(folder.fixed(name), Fixed.class)
                    .orElseGet(() -> folder.agree(folder.fixed(name), copy(folder, name), Fixed.class));
            return open(folder, name, fixed);
        });
    }

    /** Drops the versions of a job that has ended: those of many small jobs would fill the heap. */
    void forget(String job) {
        cache.asMap().keySet().removeIf(key -> key.job().equals(job));
    }

    private Fixed copy(Folder folder, TaskName name) {
        try {
            Tasks.Artifact artifact = retryPolicy.call(() -> tasks.fetch(name));
            read(artifact);
            folder.output().create(folder.key(folder.artifact(name, artifact.version())), artifact.bytes());
            return new Fixed(artifact.version(), null, null);
        } catch (SoftcallException e) {
            if (e.reason() == Reason.UNKNOWN_TASK || e.reason() == Reason.ARTIFACT_REFUSED) {
                return new Fixed(null, code(e.reason()), e.publicMessage());
            }
            throw e;
        }
    }

    /** Reads an artifact. Any failure affects only the rows of its task. */
    private StoredTask read(Tasks.Artifact artifact) {
        try {
            return tasks.read(artifact);
        } catch (SoftcallException e) {
            throw e;
        } catch (RuntimeException e) {
            throw new SoftcallException(
                    Reason.ARTIFACT_REFUSED, "task \"%s\" cannot be read: %s".formatted(artifact.name(), e), e);
        }
    }

    private Version open(Folder folder, TaskName name, Fixed fixed) {
        if (fixed.version() == null) {
            return new Version.Absent(fixed.code(), fixed.message());
        }
        String copy = folder.artifact(name, fixed.version());
        byte[] bytes = folder.bytes(copy).orElseThrow(() -> folder.damaged(copy, "it was deleted"));
        try {
            return new Version.Present(read(new Tasks.Artifact(name, fixed.version(), bytes)));
        } catch (SoftcallException e) {
            if (e.reason() == Reason.ARTIFACT_REFUSED) {
                return new Version.Absent(code(e.reason()), e.publicMessage());
            }
            throw e;
        }
    }

    /** Returns a reason as results and manifests write it. */
    public static String code(Reason reason) {
        return reason.name().toLowerCase(Locale.ROOT);
    }
}
