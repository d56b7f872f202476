package io.softcall.jobs;

import com.fasterxml.jackson.annotation.JsonIgnore;
import io.quarkus.runtime.annotations.RegisterForReflection;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Collectors;

/**
 * The outcomes of the files that an event names.
 *
 * @param reports in the order of the event's records; a record that is irrelevant, or continues elsewhere, has none
 * @param several whether the event names more than one file
 */
@RegisterForReflection
public record JobReports(
        List<JobReport> reports, @JsonIgnore boolean several) {

    /**
     * Returns the answer: the report of the only file, or {@code {"reports": [...]}} for several; empty when there is
     * none.
     */
    public Optional<Object> body() {
        return reports.isEmpty() ? Optional.empty() : Optional.of(several ? this : reports.getFirst());
    }

    /** Returns whether every file has failed. */
    public boolean hasFailed() {
        return reports.stream().allMatch(JobReport::hasFailed);
    }

    /** Returns the id of the event that reports this: the same at each delivery. */
    public String id() {
        if (reports.size() == 1) {
            return reports.getFirst().id();
        }
        String ids = reports.stream().map(JobReport::id).collect(Collectors.joining("\n"));
        return UUID.nameUUIDFromBytes(ids.getBytes(StandardCharsets.UTF_8)).toString();
    }

    /** Returns the key of the file when there is only one. */
    public Optional<String> subject() {
        return reports.size() == 1 ? Optional.ofNullable(reports.getFirst().key()) : Optional.empty();
    }
}
