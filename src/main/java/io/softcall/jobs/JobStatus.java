package io.softcall.jobs;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.softcall.jobs.files.JobFailure;
import io.softcall.jobs.run.Folder;
import io.softcall.jobs.run.Manifest;
import io.softcall.jobs.run.Plan;

/**
 * The progress of a job.
 *
 * @param state {@code running}, {@code completed}, {@code failed} or {@code cancelled}
 * @param parts number of parts; null when it is unknown until the file has been read
 * @param partsDone number of stored parts
 * @param report the outcome; null while the job runs
 */
@RegisterForReflection
@JsonInclude(JsonInclude.Include.NON_NULL)
public record JobStatus(
        String id,
        String object,
        String state,
        String output,
        Integer parts,
        @JsonProperty("parts_done") Integer partsDone,
        JobReport report) {

    static JobStatus ended(Manifest manifest) {
        JobReport report = JobReport.of(manifest);
        Integer parts = manifest.parts() == null ? null : manifest.parts().size();
        String state = !report.hasFailed()
                ? "completed"
                : report.error().code().equals(JobFailure.Code.CANCELLED.text()) ? "cancelled" : "failed";
        return new JobStatus(manifest.job(), "job", state, manifest.output(), parts, parts, report);
    }

    static JobStatus running(Folder folder, Plan plan) {
        Integer parts = plan.isSplit() ? plan.parts().size() : null;
        return new JobStatus(
                folder.job(),
                "job",
                "running",
                folder.uri(),
                parts,
                folder.parts().size(),
                null);
    }
}
