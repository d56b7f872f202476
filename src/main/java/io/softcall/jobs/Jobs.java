package io.softcall.jobs;

import com.fasterxml.jackson.databind.JsonNode;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.runtime.StartupEvent;
import io.softcall.Printable;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.Classifier;
import io.softcall.store.Bucket;
import io.softcall.store.Buckets;
import io.softcall.task.TaskName;
import io.softcall.task.Tasks;
import jakarta.annotation.PreDestroy;
import jakarta.enterprise.event.Observes;
import jakarta.enterprise.inject.Instance;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.jboss.logging.Logger;

/**
 * Classifies the rows of stored files. Any event may come any number of times, to any number of instances; each job has one
 * result: docs/jobs.md says why.
 */
@Singleton
public class Jobs {

    private static final Logger LOG = Logger.getLogger(Jobs.class);

    private static final Duration RETRY_AFTER = Duration.ofSeconds(30);
    private static final int MAX_KEY_LENGTH = 1_024;
    /** A key with its version. */
    private static final int MAX_ID_LENGTH = MAX_KEY_LENGTH + 100;

    private static final Pattern IMPOSSIBLE_KEY =
            Pattern.compile("(|.*/)\\.{0,2}(|/.*)|.*\\p{Cntrl}.*", Pattern.DOTALL);

    private final JobsConfig config;
    private final Buckets buckets;
    private final Pattern ours;
    private final Map<String, Pattern> rules = new TreeMap<>();
    private final Optional<Bucket> output;
    private final Patience patience;
    private final Optional<Broker> broker;
    private final PartRunner runner;
    private final ThreadPoolExecutor executor;
    /** What this instance does now, so that whoever asks for the same joins it. */
    private final Map<Event, CompletableFuture<Optional<Manifest>>> underWay = new ConcurrentHashMap<>();

    private final Map<String, Bucket> inputs = new ConcurrentHashMap<>();
    private final Counter answered;
    private final Counter errors;
    private final Counter parts;
    private final Counter completed;
    private final Counter failed;
    private final Counter cancelled;

    Jobs(JobsConfig config, Buckets buckets, Tasks tasks, Classifier classifier, MeterRegistry metrics) {
        this.config = config;
        this.buckets = buckets;
        this.patience = new Patience(config.storePatience());
        this.output =
                config.output().map(uri -> new PatientBucket(buckets.open("softcall.jobs.output", uri), patience));
        config.output().ifPresent(this::requireListedOutput);
        this.ours = keys(config.keys());
        config.rules().forEach((name, rule) -> {
            new TaskName(rule.task());
            rules.put(name, keys(rule.keys()));
        });
        this.broker = config.broker().map(uri -> new Broker(uri, patience));
        this.runner = new PartRunner(classifier, new FixedTasks(tasks, patience), config.rowsInFlight());
        this.executor = new ThreadPoolExecutor(
                config.concurrent(),
                config.concurrent(),
                1,
                TimeUnit.MINUTES,
                new LinkedBlockingQueue<>(config.waiting()),
                Thread.ofPlatform().name("job-", 0).daemon().factory());
        executor.allowCoreThreadTimeOut(true);
        this.answered = counter(metrics, "softcall.jobs.rows", "rows of finished parts", "outcome", "ok");
        this.errors = counter(metrics, "softcall.jobs.rows", "rows of finished parts", "outcome", "error");
        this.parts = counter(metrics, "softcall.jobs.parts", "parts finished here");
        this.completed = counter(metrics, "softcall.jobs", "jobs ended here", "outcome", "completed");
        this.failed = counter(metrics, "softcall.jobs", "jobs ended here", "outcome", "failed");
        this.cancelled = counter(metrics, "softcall.jobs", "jobs ended here", "outcome", "cancelled");
        Gauge.builder("softcall.jobs.running", executor, ThreadPoolExecutor::getActiveCount)
                .description("jobs, or parts of jobs, under way")
                .register(metrics);
    }

    /** What is wrong with the configuration of jobs, a server that has jobs says at its start. */
    static void check(@Observes StartupEvent start, JobsConfig config, Instance<Jobs> jobs) {
        if (config.output().isPresent()) {
            jobs.get();
        }
    }

    private static Counter counter(MeterRegistry metrics, String name, String description, String... tags) {
        return Counter.builder(name).description(description).tags(tags).register(metrics);
    }

    private static Pattern keys(String pattern) {
        return Pattern.compile(
                List.of(pattern.split("\\*", -1)).stream()
                        .map(Pattern::quote)
                        .reduce((a, b) -> a + ".*" + b)
                        .orElse(""),
                Pattern.DOTALL);
    }

    private void requireListedOutput(String uri) {
        String bucket =
                uri.startsWith("s3://") ? uri.substring("s3://".length()).split("/", 2)[0] : uri;
        if (!listed(bucket)) {
            throw new IllegalArgumentException(
                    "softcall.jobs.output=%s: %s is not among softcall.jobs.buckets".formatted(uri, bucket));
        }
    }

    private boolean listed(String bucket) {
        return config.buckets().orElse(List.of()).contains(bucket);
    }

    /**
     * Does what an event asks for, one record after the other, and waits until all are done.
     *
     * @param data of a storage event, or of one that {@code softcall.jobs.broker} delivers
     * @return how the jobs ended that have; none when others go on with them, or when there is nothing to do
     * @throws SoftcallException {@code INVALID_REQUEST} and {@code FORBIDDEN} for events of which nothing can ever be done; {@code
     *     OVERLOADED}, {@code STORE_UNAVAILABLE} and others where one of the records should come again
     */
    public JobReports handle(JsonNode data) {
        requireOn();
        List<Event> events = Event.of(data);
        List<JobReport> reports = new ArrayList<>();
        List<SoftcallException> problems = new ArrayList<>();
        for (Event event : events) {
            try {
                join(event).map(JobReport::of).ifPresent(reports::add);
            } catch (SoftcallException e) {
                problems.add(e);
                reports.add(JobReport.of(event, e));
            }
        }
        // What is done already is not done again when the whole event comes again.
        Optional<SoftcallException> passing =
                problems.stream().filter(problem -> !isFinal(problem)).findFirst();
        if (passing.isPresent() || !problems.isEmpty() && problems.size() == events.size()) {
            throw passing.orElse(problems.getFirst());
        }
        return new JobReports(List.copyOf(reports), events.size() > 1);
    }

    private static boolean isFinal(SoftcallException problem) {
        return problem.reason() == Reason.INVALID_REQUEST || problem.reason() == Reason.FORBIDDEN;
    }

    private void requireOn() {
        if (output.isEmpty()) {
            throw SoftcallException.invalid("jobs are off: softcall.jobs.output says where results go");
        }
    }

    private Optional<Manifest> join(Event event) {
        Callable<Optional<Manifest>> work =
                switch (event) {
                    case Event.Created created -> {
                        check(created);
                        yield () -> created(created);
                    }
                    case Event.Part part -> () -> part(part);
                    case Event.Impossible(SoftcallException problem) -> throw problem;
                };
        CompletableFuture<Optional<Manifest>> mine = new CompletableFuture<>();
        CompletableFuture<Optional<Manifest>> done = underWay.computeIfAbsent(event, key -> mine);
        if (done == mine) {
            submit(event, work, mine);
        }
        try {
            return done.get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof SoftcallException known
                    ? known.again()
                    : new SoftcallException(Reason.INTERNAL, "the job failed: " + e.getCause(), e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new SoftcallException(Reason.STOPPING, "the server is stopping", e);
        }
    }

    private void submit(Event event, Callable<Optional<Manifest>> work, CompletableFuture<Optional<Manifest>> done) {
        try {
            executor.execute(() -> {
                try {
                    Optional<Manifest> ended = work.call();
                    underWay.remove(event);
                    done.complete(ended);
                } catch (Exception | Error e) {
                    underWay.remove(event);
                    done.completeExceptionally(e);
                }
            });
        } catch (RejectedExecutionException e) {
            underWay.remove(event);
            done.completeExceptionally(SoftcallException.overloaded(
                    "%d events wait for a job to end, as many as allowed (softcall.jobs.waiting)"
                            .formatted(config.waiting()),
                    RETRY_AFTER));
        }
    }

    private void check(Event.Created created) {
        if (!listed(created.bucket())) {
            throw new SoftcallException(
                    Reason.FORBIDDEN, "bucket \"%s\" is not among softcall.jobs.buckets".formatted(created.bucket()));
        }
        if (created.keys().stream().noneMatch(Jobs::isPossible)) {
            throw impossible(created.keys().getFirst());
        }
    }

    private static SoftcallException impossible(String key) {
        return SoftcallException.invalid(
                "key \"%s\": expected at most %d characters, no control characters, and no segment that is empty, . or ..",
                key, MAX_KEY_LENGTH);
    }

    private static boolean isPossible(String key) {
        return key.length() <= MAX_KEY_LENGTH
                && (key.endsWith("/") || !IMPOSSIBLE_KEY.matcher(key).matches());
    }

    /** Of no concern are folders, our own results, and keys that do not fit. */
    private boolean isOurs(Bucket bucket, String key) {
        return !key.endsWith("/")
                && !(bucket.uri() + key).startsWith(output.orElseThrow().uri())
                && ours.matcher(key).matches();
    }

    private Bucket input(String name) {
        return inputs.computeIfAbsent(
                name,
                bucket -> new PatientBucket(
                        buckets.open("softcall.jobs.buckets", bucket.startsWith("file:") ? bucket : "s3://" + bucket),
                        patience));
    }

    /** A file was stored: its job is planned, and done or handed out. */
    private Optional<Manifest> created(Event.Created created) {
        Bucket bucket = input(created.bucket());
        // A folder's versions are our own, and no sender knows them.
        Optional<String> etag = created.etag().filter(known -> !created.bucket().startsWith("file:"));
        String key = meant(bucket, created.keys(), etag, created.bytes());
        if (!isPossible(key)) {
            throw impossible(key);
        }
        if (!isOurs(bucket, key)) {
            return Optional.empty();
        }
        Instant started = Manifests.now();
        Optional<Bucket.Stat> now = bucket.stat(key);
        Input input = new Input(
                created.bucket(),
                key,
                etag.or(() -> now.map(Bucket.Stat::version)).orElse("none"),
                now.map(Bucket.Stat::bytes).orElse(0L));
        Folder folder = folder(input.job());
        if (now.isEmpty() || !now.get().version().equals(input.etag())) {
            return Optional.of(fail(folder, input, started, JobFailure.inputGone(input)));
        }
        return ended(folder).or(() -> begin(folder, new Begun(bucket, input, started)));
    }

    private record Found(String key, Bucket.Stat stat) {}

    /** Which object is meant, where a key can be read in several ways: the one that is there, and is what the event says. */
    private static String meant(Bucket bucket, List<String> keys, Optional<String> etag, OptionalLong bytes) {
        if (keys.size() == 1) {
            return keys.getFirst();
        }
        List<Found> found = new ArrayList<>();
        keys.stream().filter(Jobs::isPossible).forEach(key -> bucket.stat(key)
                .ifPresent(stat -> found.add(new Found(key, stat))));
        return found.stream()
                .filter(one -> etag.isPresent() && one.stat().version().equals(etag.get()))
                .findFirst()
                .or(() -> found.stream()
                        .filter(one -> bytes.isPresent() && one.stat().bytes() == bytes.getAsLong())
                        .findFirst())
                .or(() -> found.stream().findFirst())
                .map(Found::key)
                .orElse(keys.getFirst());
    }

    private record Begun(Bucket bucket, Input input, Instant started) {}

    private Optional<Manifest> begin(Folder folder, Begun begun) {
        return untilFailure(folder, begun.input(), begun.started(), () -> {
            runner.begin(folder.job());
            Source source = new Source(begun.bucket(), begun.input());
            Optional<Plan> known = plan(folder);
            Plan plan = known.isPresent() ? known.get() : folder.agree(Folder.PLAN, propose(source, begun), Plan.class);
            if (!plan.isSplit()) {
                return Optional.of(succeed(folder, plan, whole(folder, plan, source)));
            }
            Set<Integer> done = new HashSet<>(folder.parts());
            for (int part = 0; part < plan.parts().size(); part++) {
                if (!done.contains(part) && broker.isPresent()) {
                    broker.get().hand(folder.job(), part);
                } else if (!done.contains(part)) {
                    requireNotCancelled(folder);
                    split(folder, plan, source, part);
                }
            }
            return finish(folder, plan);
        });
    }

    private Plan propose(Source source, Begun begun) throws JobFailure {
        Optional<String> task = config.rules().keySet().stream()
                .sorted()
                .filter(name -> rules.get(name).matcher(begun.input().key()).matches())
                .findFirst()
                .map(name -> config.rules().get(name).task());
        Plan.Limits limits = new Plan.Limits(
                Math.toIntExact(config.rowBytes().asLongValue()),
                config.maxBytes().asLongValue(),
                config.maxRows());
        Optional<List<Plan.Range>> parts = source.split(config.partBytes().asLongValue(), config.partRows(), limits);
        long listed = (long) config.partRows() * Folder.MAX_LISTED;
        return new Plan(
                begun.input(),
                source.format(),
                source.compression(),
                task.orElse(null),
                config.scores(),
                config.truncatePromptTokens(),
                limits.rowBytes(),
                config.partRows(),
                limits.bytes(),
                parts.isPresent() ? limits.rows() : Math.min(limits.rows(), listed),
                parts.orElse(null),
                begun.started());
    }

    /** A part that was handed out. Its job was planned before. */
    private Optional<Manifest> part(Event.Part event) {
        if (!isId(event.job())) {
            throw SoftcallException.invalid("job \"%s\" is no job's id", event.job());
        }
        Folder folder = folder(event.job());
        Optional<Manifest> ended = ended(folder);
        if (ended.isPresent()) {
            return ended;
        }
        Plan plan = plan(folder)
                .filter(Plan::isSplit)
                .filter(stored ->
                        event.part() >= 0 && event.part() < stored.parts().size())
                .orElseThrow(() -> SoftcallException.invalid("job \"%s\" has no part %d", event.job(), event.part()));
        Input input = plan.input();
        if (!listed(input.bucket())) {
            throw new SoftcallException(
                    Reason.FORBIDDEN, "bucket \"%s\" is not among softcall.jobs.buckets".formatted(input.bucket()));
        }
        return untilFailure(folder, input, plan.started(), () -> {
            runner.begin(folder.job());
            if (!folder.has(Folder.partName(event.part()))) {
                split(folder, plan, new Source(input(input.bucket()), input), event.part());
            }
            return finish(folder, plan);
        });
    }

    /** The plan that is stored; in the folder of another file it is none. */
    private static Optional<Plan> plan(Folder folder) {
        Optional<Plan> stored = folder.read(Folder.PLAN, Plan.class);
        if (stored.isPresent() && !stored.get().input().job().equals(folder.job())) {
            throw folder.damaged(Folder.PLAN, "it is that of another job");
        }
        return stored;
    }

    /** Another instance may have been told. */
    private static void requireNotCancelled(Folder folder) throws JobFailure {
        if (folder.has(Folder.FAILED)) {
            throw JobFailure.cancelled();
        }
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
        runner.end(folder.job());
        Manifest.Failure error = manifest.error();
        LOG.warnf("job %s: %s: %s", Printable.of(folder.job()), error.code(), Printable.of(error.message()));
        (error.code().equals(JobFailure.Code.CANCELLED.text()) ? cancelled : failed).increment();
        return manifest;
    }

    private void split(Folder folder, Plan plan, Source source, int part) throws JobFailure {
        try (Source.Reading rows = source.read(plan.parts().get(part), plan.limits())) {
            run(folder, plan, part, rows, Integer.MAX_VALUE);
        }
    }

    /** Reads a file from its start to its end. @return the number of its parts */
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
                    requireNotCancelled(folder);
                    run(folder, plan, part, rows, plan.partRows());
                }
                part++;
            }
            return part;
        }
    }

    private void run(Folder folder, Plan plan, int part, Source.Reading rows, int maxRows) throws JobFailure {
        long began = System.nanoTime();
        PartRunner.Done done = runner.run(folder, plan, part, rows, maxRows);
        answered.increment(done.rows() - done.errors());
        errors.increment(done.errors());
        parts.increment();
        double seconds = (System.nanoTime() - began) / 1e9;
        LOG.infof(
                "job %s: part %d%s, %d rows, %d errors, %.1f rows/s",
                Printable.of(folder.job()),
                part,
                plan.isSplit() ? " of " + plan.parts().size() : "",
                done.rows(),
                done.errors(),
                done.rows() / seconds);
    }

    /** Whoever sees all parts of a split job writes its manifest. */
    private Optional<Manifest> finish(Folder folder, Plan plan) throws JobFailure {
        int all = plan.parts().size();
        return folder.parts().size() < all ? Optional.empty() : Optional.of(succeed(folder, plan, all));
    }

    private Manifest succeed(Folder folder, Plan plan, int parts) throws JobFailure {
        requireNotCancelled(folder);
        Manifest manifest = Manifests.succeed(folder, plan, parts);
        runner.end(folder.job());
        completed.increment();
        LOG.infof(
                "job %s: completed, %d rows, %d errors",
                Printable.of(folder.job()), manifest.rows(), manifest.errors());
        return manifest;
    }

    private Folder folder(String job) {
        return new Folder(output.orElseThrow(), job);
    }

    private static Optional<Manifest> ended(Folder folder) {
        return folder.read(Folder.SUCCESS, Manifest.class).or(() -> folder.read(Folder.FAILED, Manifest.class));
    }

    /**
     * How far a job is.
     *
     * @param id {@code key/etag}
     * @throws SoftcallException {@code NOT_FOUND} when it has not begun
     */
    public JobStatus status(String id) {
        Folder folder = known(id);
        return ended(folder)
                .map(JobStatus::ended)
                .orElseGet(() -> JobStatus.running(folder, plan(folder).orElseThrow(() -> unknown(id))));
    }

    /**
     * Ends a job that has not ended: at once where it runs here, at their next part where others work on it. What is stored of it
     * stays.
     *
     * @param id {@code key/etag}
     * @return how it ended, which may have been before
     * @throws SoftcallException {@code NOT_FOUND} when it has not begun
     */
    public JobStatus cancel(String id) {
        Folder folder = known(id);
        if (ended(folder).isEmpty()) {
            Plan plan = plan(folder).orElseThrow(() -> unknown(id));
            Manifests.fail(folder, plan.input(), plan.started(), JobFailure.cancelled());
            LOG.warnf("job %s: cancelled", Printable.of(id));
            runner.cancel(id);
        }
        return ended(folder).map(JobStatus::ended).orElseThrow(() -> folder.damaged(Folder.FAILED, "it was deleted"));
    }

    private Folder known(String id) {
        if (output.isEmpty() || !isId(id)) {
            throw unknown(id);
        }
        return folder(id);
    }

    private static boolean isId(String id) {
        return id.length() <= MAX_ID_LENGTH && !IMPOSSIBLE_KEY.matcher(id).matches();
    }

    private static SoftcallException unknown(String id) {
        return new SoftcallException(
                Reason.NOT_FOUND,
                "there is no job \"%s\": expected the key of a file, a slash, and its ETag".formatted(id));
    }

    @PreDestroy
    void close() {
        executor.shutdownNow();
    }
}
