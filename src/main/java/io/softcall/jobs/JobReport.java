package io.softcall.jobs;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.quarkus.runtime.annotations.RegisterForReflection;
import java.util.Map;

/**
 * How a job ended: its manifest without the list of parts.
 *
 * @param job its id
 * @param output the folder of its results
 * @param tasks the version of each task that answered
 * @param error why there is no result; null when there is
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

    /** @param code {@code bad_file} or {@code input_gone} */
    @RegisterForReflection
    public record Error(String code, String message) {}

    public boolean hasFailed() {
        return error != null;
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
