package io.softcall.jobs.run;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.softcall.jobs.files.Input;
import java.time.Instant;
import java.util.List;
import java.util.SortedMap;

/**
 * The outcome of a job: {@code _SUCCESS}, or {@code _FAILED}.
 *
 * @param output the folder of the results
 * @param errors number of rows with an error
 * @param tasks the version of each task that answered
 * @param error why there is no result; null when there is one
 */
@RegisterForReflection
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Manifest(
        String job,
        Input input,
        String output,
        Long rows,
        Long errors,
        SortedMap<String, String> tasks,
        List<Part> parts,
        Failure error,
        Instant started,
        Instant finished) {

    public Manifest {
        boolean complete = rows != null && errors != null && tasks != null && parts != null;
        if (job == null || input == null || output == null || complete == (error != null)) {
            throw new IllegalArgumentException("a manifest has either a result or an error");
        }
    }

    /** One part as it is stored. */
    @RegisterForReflection
    record Part(String name, long rows, long errors, long bytes, String sha256) {}

    @RegisterForReflection
    public record Failure(String code, String message) {}
}
