package io.softcall.jobs.run;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.Classifier;
import io.softcall.inference.Classifier.Outcome;
import io.softcall.jobs.files.JobFailure;
import io.softcall.jobs.files.Row;
import io.softcall.jobs.files.RowId;
import io.softcall.jobs.formats.Source;
import io.softcall.task.StoredTask;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Classifies the rows of one part and stores their results. A few chunks of rows are in progress at a time, so that
 * batches stay full while the oldest chunk finishes and the next one is read.
 */
public final class PartRunner {

    /** Number of chunks in progress: one is about to finish, one is being classified, and one waits. */
    private static final int CHUNKS = 3;

    /** Approximate number of characters in a chunk: the last row may exceed it. */
    private static final int CHUNK_CHARACTERS = 1 << 20;

    /** Maximum number of tasks that one part may name. */
    private static final int MAX_TASKS = 1_000;

    /** Maximum number of cancelled jobs in memory; older ones are found in the job's folder at the next part. */
    private static final int MAX_CANCELLED = 1_000;

    private static final Set<Reason> OF_THE_ROWS =
            EnumSet.of(Reason.INVALID_REQUEST, Reason.TEXT_TOO_LONG, Reason.UNKNOWN_TASK, Reason.ARTIFACT_REFUSED);

    private final Classifier classifier;
    private final FixedTasks tasks;
    private final int chunkRows;
    private final Cache<String, Boolean> cancelled =
            Caffeine.newBuilder().maximumSize(MAX_CANCELLED).build();

    public PartRunner(Classifier classifier, FixedTasks tasks, int rowsInFlight) {
        this.classifier = classifier;
        this.tasks = tasks;
        this.chunkRows = Math.max(1, rowsInFlight / CHUNKS);
    }

    /** The counts of a finished part. */
    public record Done(int rows, int errors) {}

    /**
     * Classifies rows and creates the part, unless another instance has created it in the meantime.
     *
     * @param maxRows number of rows in the part; only the last part of a file has fewer
     * @throws JobFailure when the file is at fault, or the job was cancelled
     */
    public Done run(Folder folder, Plan plan, int part, Source.Reading rows, int maxRows) throws JobFailure {
        try (Results results = new Results(part, plan.scores())) {
            new Part(folder, plan, rows, maxRows, results).run();
            folder.output().create(folder.key(Folder.partName(part)), results.finish());
            return new Done(results.rows(), results.errors());
        }
    }

    /** Stops the work on a job in this process: its next chunk of rows is not classified. */
    public void cancel(String job) {
        cancelled.put(job, true);
    }

    /** Notes that a job begins: when the folder of a cancelled job was deleted, the job may run again. */
    public void begin(String job) {
        cancelled.invalidate(job);
    }

    /** Notes that a job has ended, and drops its tasks. */
    public void end(String job) {
        tasks.forget(job);
    }

    /** Rows of one task in one chunk. */
    private static final class Group {

        private final Task task;
        private final List<List<String>> texts = new ArrayList<>();
        private Optional<Classifier.Started> started = Optional.empty();
        private List<Outcome> outcomes = List.of();

        Group(Task task) {
            this.task = task;
        }

        void start(Classifier classifier, StoredTask stored, OptionalInt truncateTokens) {
            orRefuseRows(() -> started = Optional.of(classifier.start(stored, texts, truncateTokens)));
        }

        void await() {
            orRefuseRows(() -> started.ifPresent(running -> outcomes = running.await()));
        }

        /** Runs a step. When the task turns out to be unusable, its rows become errors. */
        private void orRefuseRows(Runnable step) {
            try {
                step.run();
            } catch (SoftcallException e) {
                if (!OF_THE_ROWS.contains(e.reason())) {
                    throw e;
                }
                started = Optional.empty();
                outcomes = Collections.nCopies(texts.size(), new Outcome.Refused(e));
            }
        }
    }

    /** The source of a row's result. */
    private sealed interface Entry {

        record Waiting(RowId id, Group group, int index) implements Entry {}

        record Error(RowId id, Optional<TaskName> task, String code, String message) implements Entry {}
    }

    private record Chunk(List<Entry> entries, Map<TaskName, Group> groups) {}

    private final class Part {

        private final Folder folder;
        private final Plan plan;
        private final Source.Reading rows;
        private final Results results;
        private final Deque<Chunk> underWay = new ArrayDeque<>();
        private final Set<TaskName> named = new HashSet<>();
        private int left;

        Part(Folder folder, Plan plan, Source.Reading rows, int maxRows, Results results) {
            this.folder = folder;
            this.plan = plan;
            this.rows = rows;
            this.left = maxRows;
            this.results = results;
        }

        public void run() throws JobFailure {
            try {
                while (left > 0 && rows.hasNext()) {
                    underWay.addLast(start());
                    if (underWay.size() == CHUNKS) {
                        write(underWay.getFirst());
                        underWay.removeFirst();
                    }
                }
                while (!underWay.isEmpty()) {
                    write(underWay.getFirst());
                    underWay.removeFirst();
                }
            } finally {
                underWay.forEach(chunk ->
                        chunk.groups().values().forEach(group -> group.started.ifPresent(Classifier.Started::cancel)));
            }
        }

        private Chunk start() throws JobFailure {
            if (cancelled.getIfPresent(folder.job()) != null) {
                throw JobFailure.cancelled();
            }
            Chunk chunk = new Chunk(new ArrayList<>(), new LinkedHashMap<>());
            int characters = 0;
            while (left > 0 && rows.hasNext() && chunk.entries().size() < chunkRows && characters < CHUNK_CHARACTERS) {
                Row row = rows.next();
                left--;
                if (row instanceof Row.Texts texts) {
                    characters +=
                            texts.texts().stream().mapToInt(String::length).sum();
                }
                chunk.entries().add(entry(row, chunk.groups()));
            }
            chunk.groups().values().forEach(this::start);
            return chunk;
        }

        /** The version is asked for again, so that groups that wait hold no prompts, which could fill the heap together. */
        private void start(Group group) {
            if (tasks.get(folder, group.task.name()) instanceof FixedTasks.Version.Present(StoredTask stored)) {
                group.start(classifier, stored, plan.truncateTokens());
            } else {
                throw new IllegalStateException("the version of a job's task does not change");
            }
        }

        private Entry entry(Row row, Map<TaskName, Group> groups) {
            return switch (row) {
                case Row.Bad(RowId id, String problem) -> invalid(id, Optional.empty(), problem);
                case Row.Texts texts -> entry(texts, groups);
            };
        }

        private Entry entry(Row.Texts row, Map<TaskName, Group> groups) {
            Optional<TaskName> task =
                    row.task().or(() -> Optional.ofNullable(plan.task()).map(TaskName::new));
            if (task.isEmpty()) {
                return invalid(
                        row.id(), task, "the row names no task, and none of softcall.jobs.rules fits the file's key");
            }
            if (!named.contains(task.get()) && named.size() == MAX_TASKS) {
                return invalid(row.id(), task, "the part names more than %d tasks".formatted(MAX_TASKS));
            }
            named.add(task.get());
            // Asked once a chunk: a task that is too large for the cache is read each time.
            Group known = groups.get(task.get());
            if (known != null) {
                return waiting(row, known);
            }
            return switch (tasks.get(folder, task.get())) {
                case FixedTasks.Version.Absent(String code, String message) ->
                    new Entry.Error(row.id(), task, code, message);
                case FixedTasks.Version.Present(StoredTask stored) -> {
                    Group group = new Group(stored.task());
                    groups.put(task.get(), group);
                    yield waiting(row, group);
                }
            };
        }

        private static Entry waiting(Row.Texts row, Group group) {
            group.texts.add(row.texts());
            return new Entry.Waiting(row.id(), group, group.texts.size() - 1);
        }

        private static Entry invalid(RowId id, Optional<TaskName> task, String message) {
            return new Entry.Error(id, task, FixedTasks.code(Reason.INVALID_REQUEST), message);
        }

        private void write(Chunk chunk) {
            chunk.groups().values().forEach(Group::await);
            for (Entry entry : chunk.entries()) {
                switch (entry) {
                    case Entry.Error(RowId id, Optional<TaskName> task, String code, String message) ->
                        results.error(id, task, code, message);
                    case Entry.Waiting(RowId id, Group group, int index) ->
                        write(id, group.task, group.outcomes.get(index));
                }
            }
        }

        private void write(RowId id, Task task, Outcome outcome) {
            switch (outcome) {
                case Outcome.Answered(var row) -> results.answer(id, task, row);
                case Outcome.Refused(SoftcallException problem) ->
                    results.error(
                            id, Optional.of(task.name()), FixedTasks.code(problem.reason()), problem.publicMessage());
            }
        }
    }
}
