package io.softcall.jobs;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.softcall.Printable;
import io.softcall.SoftcallException;
import io.softcall.jobs.events.Event;
import io.softcall.jobs.run.FixedTasks;
import io.softcall.jobs.run.Manifest;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/**
 * The outcome of a job: its manifest without the list of parts.
 *
 * @param job the job's id; null when the job could not begin, and then etag, output, rows, errors and tasks are null
 * @param output the folder of its results
 * @param tasks the version of each task that answered
 * @param error why there is no result; null when there is one
 */
@RegisterForReflection
@JsonInclude(JsonInclude.Include.NON_NULL)
public record JobReport(
        String job,
        String bucket,
        String key,
        String etag,
        String output,
        Long rows,
        Long errors,
        Map<String, String> tasks,
        Error error) {

    /**
     * @param code {@code bad_file}, {@code input_gone} or {@code cancelled}; when the job could not begin, a type of
     *     docs/errors.md
     */
    @RegisterForReflection
    public record Error(String code, String message) {}

    public boolean hasFailed() {
        return error != null;
    }

    /** Returns the id of the event that reports this: the job's id, or a derived one when the job could not begin. */
    public String id() {
        return job != null
                ? job
                : UUID.nameUUIDFromBytes((bucket + "\n" + key + "\n" + error.code()).getBytes(StandardCharsets.UTF_8))
                        .toString();
    }

    /** Returns the report on an event that failed before its job began. */
    static JobReport of(Event event, SoftcallException problem) {
        Optional<Event.Created> created = event instanceof Event.Created known ? Optional.of(known) : Optional.empty();
        return new JobReport(
                null,
                created.map(Event.Created::bucket).map(Printable::of).orElse(null),
                created.map(known -> Printable.of(known.keys().getFirst())).orElse(null),
                null,
                null,
                null,
                null,
                null,
                new Error(FixedTasks.code(problem.reason()), problem.publicMessage()));
    }

    static JobReport of(Manifest manifest) {
        return new JobReport(
                manifest.job(),
                manifest.input().bucket(),
                manifest.input().key(),
                manifest.input().etag(),
                manifest.output(),
                manifest.rows(),
                manifest.errors(),
                manifest.tasks(),
                manifest.error() == null
                        ? null
                        : new Error(manifest.error().code(), manifest.error().message()));
    }
}
