package io.softcall.jobs;

import com.fasterxml.jackson.databind.JsonNode;
import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.runtime.StartupEvent;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.Classifier;
import io.softcall.jobs.events.Event;
import io.softcall.jobs.run.Folder;
import io.softcall.jobs.run.JobRunner;
import io.softcall.jobs.run.JobsConfig;
import io.softcall.jobs.run.KeyRules;
import io.softcall.jobs.run.Manifest;
import io.softcall.jobs.run.Plan;
import io.softcall.store.opening.Buckets;
import io.softcall.task.catalog.Tasks;
import jakarta.annotation.PreDestroy;
import jakarta.enterprise.event.Observes;
import jakarta.enterprise.inject.Instance;
import jakarta.inject.Singleton;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Classifies the rows of stored files. An event may arrive any number of times, at any number of instances; each job
 * still has one result. docs/jobs.md explains why.
 */
@Singleton
public class Jobs {

    private final Optional<JobRunner> runner;
    private final JobQueue queue;

    Jobs(JobsConfig config, Buckets buckets, Tasks tasks, Classifier classifier, MeterRegistry metrics) {
        KeyRules rules = new KeyRules(config);
        this.runner = config.output()
                .map(output -> new JobRunner(config, output, rules, buckets, tasks, classifier, metrics));
        this.queue = new JobQueue(config.concurrent(), config.waiting(), metrics);
    }

    /** Validates the jobs configuration at startup, when jobs are on. */
    static void check(@Observes StartupEvent start, JobsConfig config, Instance<Jobs> jobs) {
        if (config.output().isPresent()) {
            jobs.get();
        }
    }

    /**
     * Does the work of an event, one record after the other, and waits until all are done.
     *
     * @param data the data of a storage event, or of an event from {@code softcall.jobs.broker}
     * @return the outcomes of the jobs that have ended; none when other instances continue them, or when there is
     *     nothing to do
     * @throws SoftcallException {@code INVALID_REQUEST} and {@code FORBIDDEN} for final failures; {@code OVERLOADED},
     *     {@code STORE_UNAVAILABLE} and others when at least one record should be retried
     */
    public JobReports handle(JsonNode data) {
        JobRunner jobs = runner.orElseThrow(
                () -> SoftcallException.invalid("jobs are off: set softcall.jobs.output to where results go"));
        List<Event> events = Event.of(data);
        List<JobReport> reports = new ArrayList<>();
        List<SoftcallException> problems = new ArrayList<>();
        for (Event event : events) {
            try {
                run(jobs, event).map(JobReport::of).ifPresent(reports::add);
            } catch (SoftcallException e) {
                problems.add(e);
                reports.add(JobReport.of(event, e));
            }
        }
        // Records that are done are not repeated when the whole event is delivered again.
        Optional<SoftcallException> transientProblem =
                problems.stream().filter(problem -> !isFinal(problem)).findFirst();
        if (transientProblem.isPresent() || !problems.isEmpty() && problems.size() == events.size()) {
            throw transientProblem.orElse(problems.getFirst());
        }
        return new JobReports(List.copyOf(reports), events.size() > 1);
    }

    private static boolean isFinal(SoftcallException problem) {
        return problem.reason() == Reason.INVALID_REQUEST || problem.reason() == Reason.FORBIDDEN;
    }

    private Optional<Manifest> run(JobRunner jobs, Event event) {
        return switch (event) {
            case Event.Created created -> {
                jobs.check(created);
                yield queue.run(event, () -> jobs.created(created));
            }
            case Event.Part part -> queue.run(event, () -> jobs.part(part));
            case Event.Impossible(SoftcallException problem) -> throw problem;
        };
    }

    /**
     * Returns the progress of a job.
     *
     * @param id {@code key/etag}
     * @throws SoftcallException {@code NOT_FOUND} when it has not begun
     */
    public JobStatus status(String id) {
        Folder folder = runner(id).folder(id);
        return folder.ended().map(JobStatus::ended).orElseGet(() -> JobStatus.running(folder, plan(folder)));
    }

    /**
     * Cancels a job that has not ended. The cancellation takes effect at once in this process, and in other processes
     * at their next part. Stored parts are kept.
     *
     * @param id {@code key/etag}
     * @return the outcome; a job that had ended before keeps its outcome
     * @throws SoftcallException {@code NOT_FOUND} when it has not begun
     */
    public JobStatus cancel(String id) {
        JobRunner jobs = runner(id);
        Folder folder = jobs.folder(id);
        if (folder.ended().isEmpty()) {
            jobs.cancel(folder, plan(folder));
        }
        return folder.ended().map(JobStatus::ended).orElseThrow(() -> folder.damaged(Folder.FAILED, "it was deleted"));
    }

    private static Plan plan(Folder folder) {
        return folder.plan().orElseThrow(() -> unknown(folder.job()));
    }

    private JobRunner runner(String id) {
        return runner.filter(jobs -> KeyRules.isId(id)).orElseThrow(() -> unknown(id));
    }

    private static SoftcallException unknown(String id) {
        return new SoftcallException(
                Reason.NOT_FOUND,
                "there is no job \"%s\": expected the key of a file, a slash, and its ETag".formatted(id));
    }

    @PreDestroy
    void close() {
        queue.close();
    }
}
