package io.softcall.jobs.run;

import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.Printable;
import io.softcall.SoftcallException;
import io.softcall.inference.Classifier;
import io.softcall.jobs.events.Broker;
import io.softcall.jobs.events.Event;
import io.softcall.jobs.files.Input;
import io.softcall.jobs.files.JobFailure;
import io.softcall.jobs.files.Limits;
import io.softcall.jobs.files.Range;
import io.softcall.jobs.formats.Source;
import io.softcall.store.Bucket;
import io.softcall.store.RetryPolicy;
import io.softcall.store.RetryingBucket;
import io.softcall.store.opening.Buckets;
import io.softcall.task.catalog.Tasks;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jboss.logging.Logger;

/** Plans jobs, does their parts or sends them to a broker, and writes their outcomes. */
public final class JobRunner {

    private static final Logger LOG = Logger.getLogger(JobRunner.class);

    private final JobsConfig config;
    private final KeyRules rules;
    private final Bucket output;
    private final InputFiles inputs;
    private final Optional<Broker> broker;
    private final PartRunner parts;
    private final JobMetrics metrics;

    /** @param output the folder of results, {@code softcall.jobs.output} */
    public JobRunner(
            JobsConfig config,
            String output,
            KeyRules rules,
            Buckets buckets,
            Tasks tasks,
            Classifier classifier,
            MeterRegistry metrics) {
        RetryPolicy retryPolicy = new RetryPolicy(config.storePatience());
        this.config = config;
        this.rules = rules;
        this.output = new RetryingBucket(buckets.open("softcall.jobs.output", output), retryPolicy);
        this.inputs = new InputFiles(buckets, retryPolicy);
        this.broker = config.broker().map(uri -> new Broker(uri, retryPolicy));
        this.parts = new PartRunner(classifier, new FixedTasks(tasks, retryPolicy), config.rowsInFlight());
        this.metrics = new JobMetrics(metrics);
    }

    /** Returns the folder of a job, which may be empty. */
    public Folder folder(String job) {
        return new Folder(output, job);
    }

    /**
     * Validates an event before any work is done for it.
     *
     * @throws SoftcallException {@code FORBIDDEN} when the bucket is not configured; {@code INVALID_REQUEST} when no
     *     reading of the key is possible
     */
    public void check(Event.Created created) {
        rules.requireListed(created.bucket());
        if (created.keys().stream().noneMatch(KeyRules::isPossible)) {
            KeyRules.requirePossible(created.keys().getFirst());
        }
    }

    /**
     * Plans the job of a stored file, and does its parts or sends them to a broker.
     *
     * @return the outcome; empty when other instances continue the job, or when the file is not classified
     */
    public Optional<Manifest> created(Event.Created created) {
        Bucket bucket = inputs.bucket(created.bucket());
        String key = InputFiles.key(bucket, created);
        KeyRules.requirePossible(key);
        if (!rules.include(key) || isResult(bucket, key)) {
            return Optional.empty();
        }
        Instant started = Manifests.now();
        Optional<Bucket.Stat> now = bucket.stat(key);
        Input input = new Input(
                created.bucket(),
                key,
                InputFiles.etag(created).or(() -> now.map(Bucket.Stat::version)).orElse("none"),
                now.map(Bucket.Stat::bytes).orElse(0L));
        Folder folder = folder(input.job());
        if (now.isEmpty() || !now.get().version().equals(input.etag())) {
            return Optional.of(fail(folder, input, started, JobFailure.inputGone(input)));
        }
        return folder.ended().or(() -> begin(folder, new Begun(bucket, input, started)));
    }

    /** Returns whether the file is a result: results are never classified, wherever they are stored. */
    private boolean isResult(Bucket bucket, String key) {
        return (bucket.uri() + key).startsWith(output.uri());
    }

    private record Begun(Bucket bucket, Input input, Instant started) {}

    private Optional<Manifest> begin(Folder folder, Begun begun) {
        return untilFailure(folder, begun.input(), begun.started(), () -> {
            parts.begin(folder.job());
            Source source = new Source(begun.bucket(), begun.input());
            Optional<Plan> known = folder.plan();
            Plan plan = known.isPresent() ? known.get() : folder.agree(Folder.PLAN, propose(source, begun), Plan.class);
            if (!plan.isSplit()) {
                return Optional.of(succeed(folder, plan, whole(folder, plan, source)));
            }
            Set<Integer> done = new HashSet<>(folder.parts());
            for (int part = 0; part < plan.parts().size(); part++) {
                if (!done.contains(part) && broker.isPresent()) {
                    broker.get().hand(folder.job(), part);
                } else if (!done.contains(part)) {
                    folder.requireNotCancelled();
                    split(folder, plan, source, part);
                }
            }
            return finish(folder, plan);
        });
    }

    private Plan propose(Source source, Begun begun) throws JobFailure {
        Limits limits = new Limits(
                Math.toIntExact(config.rowBytes().asLongValue()),
                config.maxBytes().asLongValue(),
                config.maxRows());
        Optional<List<Range>> ranges = source.split(config.partBytes().asLongValue(), config.partRows(), limits);
        long listed = (long) config.partRows() * Folder.MAX_LISTED;
        return new Plan(
                begun.input(),
                source.format(),
                source.compression(),
                rules.task(begun.input().key()).orElse(null),
                config.scores(),
                config.truncatePromptTokens(),
                limits.rowBytes(),
                config.partRows(),
                limits.bytes(),
                ranges.isPresent() ? limits.rows() : Math.min(limits.rows(), listed),
                ranges.orElse(null),
                begun.started());
    }

    /**
     * Does a part that a broker delivered. Its job was planned before.
     *
     * @return the outcome when this was the last part, or when the job had ended before
     * @throws SoftcallException {@code INVALID_REQUEST} when there is no such part
     */
    public Optional<Manifest> part(Event.Part event) {
        if (!KeyRules.isId(event.job())) {
            throw SoftcallException.invalid("\"%s\" is not the id of a job", event.job());
        }
        Folder folder = folder(event.job());
        Optional<Manifest> ended = folder.ended();
        if (ended.isPresent()) {
            return ended;
        }
        Plan plan = folder.plan()
                .filter(Plan::isSplit)
                .filter(stored ->
                        event.part() >= 0 && event.part() < stored.parts().size())
                .orElseThrow(() -> SoftcallException.invalid("job \"%s\" has no part %d", event.job(), event.part()));
        Input input = plan.input();
        rules.requireListed(input.bucket());
        return untilFailure(folder, input, plan.started(), () -> {
            parts.begin(folder.job());
            if (!folder.has(Folder.partName(event.part()))) {
                split(folder, plan, new Source(inputs.bucket(input.bucket()), input), event.part());
            }
            return finish(folder, plan);
        });
    }

    /** Cancels a planned job: at once in this process, and in other processes at their next part. */
    public void cancel(Folder folder, Plan plan) {
        Manifests.fail(folder, plan.input(), plan.started(), JobFailure.cancelled());
        LOG.warnf("job %s: cancelled", Printable.of(folder.job()));
        parts.cancel(folder.job());
    }

    private interface Work {
        Optional<Manifest> run() throws JobFailure;
    }

    private Optional<Manifest> untilFailure(Folder folder, Input input, Instant started, Work work) {
        try {
            return work.run();
        } catch (JobFailure e) {
            return Optional.of(fail(folder, input, started, e));
        }
    }

    private Manifest fail(Folder folder, Input input, Instant started, JobFailure failure) {
        Manifest manifest = Manifests.fail(folder, input, started, failure);
        parts.end(folder.job());
        metrics.failed(manifest);
        return manifest;
    }

    private void split(Folder folder, Plan plan, Source source, int part) throws JobFailure {
        try (Source.Reading rows = source.read(plan.parts().get(part), plan.limits())) {
            run(folder, plan, part, rows, Integer.MAX_VALUE);
        }
    }

    /**
     * Reads a file from its start to its end.
     *
     * @return the number of its parts
     */
    private int whole(Folder folder, Plan plan, Source source) throws JobFailure {
        Set<Integer> done = new HashSet<>(folder.parts());
        try (Source.Reading rows = source.readWhole(plan.limits())) {
            int part = 0;
            while (rows.hasNext()) {
                if (done.contains(part)) {
                    for (int i = 0; i < plan.partRows() && rows.hasNext(); i++) {
                        rows.next();
                    }
                } else {
                    folder.requireNotCancelled();
                    run(folder, plan, part, rows, plan.partRows());
                }
                part++;
            }
            return part;
        }
    }

    private void run(Folder folder, Plan plan, int part, Source.Reading rows, int maxRows) throws JobFailure {
        long began = System.nanoTime();
        PartRunner.Done done = parts.run(folder, plan, part, rows, maxRows);
        metrics.part(folder, plan, part, done, (System.nanoTime() - began) / 1e9);
    }

    /** Writes the manifest of a split job, if all its parts are stored. */
    private Optional<Manifest> finish(Folder folder, Plan plan) throws JobFailure {
        int all = plan.parts().size();
        return folder.parts().size() < all ? Optional.empty() : Optional.of(succeed(folder, plan, all));
    }

    private Manifest succeed(Folder folder, Plan plan, int number) throws JobFailure {
        folder.requireNotCancelled();
        Manifest manifest = Manifests.succeed(folder, plan, number);
        parts.end(folder.job());
        metrics.completed(manifest);
        return manifest;
    }
}
