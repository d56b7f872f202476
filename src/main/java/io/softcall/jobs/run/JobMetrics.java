package io.softcall.jobs.run;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.Printable;
import io.softcall.jobs.files.JobFailure;
import org.jboss.logging.Logger;

/** Records the progress of jobs, in metrics and in the log. */
final class JobMetrics {

    private static final Logger LOG = Logger.getLogger(JobMetrics.class);

    private final Counter answered;
    private final Counter errors;
    private final Counter parts;
    private final Counter completed;
    private final Counter failed;
    private final Counter cancelled;

    JobMetrics(MeterRegistry metrics) {
        this.answered = counter(metrics, "softcall.jobs.rows", "rows of finished parts", "outcome", "ok");
        this.errors = counter(metrics, "softcall.jobs.rows", "rows of finished parts", "outcome", "error");
        this.parts = counter(metrics, "softcall.jobs.parts", "parts finished here");
        this.completed = counter(metrics, "softcall.jobs", "jobs ended here", "outcome", "completed");
        this.failed = counter(metrics, "softcall.jobs", "jobs ended here", "outcome", "failed");
        this.cancelled = counter(metrics, "softcall.jobs", "jobs ended here", "outcome", "cancelled");
    }

    private static Counter counter(MeterRegistry metrics, String name, String description, String... tags) {
        return Counter.builder(name).description(description).tags(tags).register(metrics);
    }

    void part(Folder folder, Plan plan, int part, PartRunner.Done done, double seconds) {
        answered.increment(done.rows() - done.errors());
        errors.increment(done.errors());
        parts.increment();
        LOG.infof(
                "job %s: part %d%s, %d rows, %d errors, %.1f rows/s",
                Printable.of(folder.job()),
                part,
                plan.isSplit() ? " of " + plan.parts().size() : "",
                done.rows(),
                done.errors(),
                done.rows() / seconds);
    }

    void completed(Manifest manifest) {
        completed.increment();
        LOG.infof(
                "job %s: completed, %d rows, %d errors",
                Printable.of(manifest.job()), manifest.rows(), manifest.errors());
    }

    void failed(Manifest manifest) {
        Manifest.Failure error = manifest.error();
        LOG.warnf("job %s: %s: %s", Printable.of(manifest.job()), error.code(), Printable.of(error.message()));
        (error.code().equals(JobFailure.Code.CANCELLED.text()) ? cancelled : failed).increment();
    }
}
