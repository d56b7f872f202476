package io.softcall.jobs;

import com.fasterxml.jackson.annotation.JsonIgnore;
import io.quarkus.runtime.annotations.RegisterForReflection;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Collectors;

/**
 * What became of the files that an event named.
 *
 * @param reports in the order of the event's records; none for what is of no concern, or goes on elsewhere
 * @param several whether the event named more than one
 */
@RegisterForReflection
public record JobReports(
        List<JobReport> reports, @JsonIgnore boolean several) {

    /** What is answered: the report of the one file, or all of several as {@code {"reports": [...]}}; empty when there is none. */
    public Optional<Object> body() {
        return reports.isEmpty() ? Optional.empty() : Optional.of(several ? this : reports.getFirst());
    }

    /** Whether no file has a result. */
    public boolean hasFailed() {
        return reports.stream().allMatch(JobReport::hasFailed);
    }

    /** Of the event that tells this: the same however often it is told. */
    public String id() {
        if (reports.size() == 1) {
            return reports.getFirst().id();
        }
        String ids = reports.stream().map(JobReport::id).collect(Collectors.joining("\n"));
        return UUID.nameUUIDFromBytes(ids.getBytes(StandardCharsets.UTF_8)).toString();
    }

    /** The key of the one file. */
    public Optional<String> subject() {
        return reports.size() == 1 ? Optional.ofNullable(reports.getFirst().key()) : Optional.empty();
    }
}
