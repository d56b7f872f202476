package io.softcall.task.catalog;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.softcall.Printable;
import io.softcall.RareLog;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.store.Loading;
import io.softcall.store.Store;
import io.softcall.store.StoreConfig;
import io.softcall.task.RefusedException;
import io.softcall.task.Requirements;
import io.softcall.task.StoredTask;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import io.softcall.task.TaskPatterns;
import io.softcall.task.artifact.ArtifactReader;
import io.softcall.task.artifact.Signers;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * The tasks of a store, revalidated at each call.
 *
 * <p>Revalidation is linearizable: {@link #revalidate} never completes with a version older than the one that was stored when
 * it was called. So a call may only share a request to the store that is sent after the call arrived. At most one revalidation
 * of each task waits to be sent, and new calls join it (coalescing). It is sent when the previous one is answered, or
 * {@link #sharedWait} after its first call, whichever is earlier. So one slow request to the store does not delay later calls
 * for long.
 */
@Singleton
public class Tasks {

    private static final Logger LOG = Logger.getLogger(Tasks.class);

    /** The time to load a copy. It is long, because no caller waits for the answer. */
    private static final Duration LEASE_OF_COPIES = Duration.ofSeconds(30);

    /** An estimate of what an entry takes besides its task. Reasons are short. */
    private static final int ENTRY_BYTES = 2_048;

    /**
     * A validated task.
     *
     * @param staleness empty if the store validated the version for this call or within {@code max-age}; otherwise the time
     *     since the version was last validated. It is present if a mirror answered, or if the store failed and
     *     {@code stale-if-error} allows this version.
     */
    public record Validated(StoredTask stored, Optional<Duration> staleness) {}

    private final Store store;
    private final OwnTask own;
    private final StoreConfig config;
    private final Loading loading;
    private final ArtifactReader reader;
    private final LongSupplier nanoTime;
    private final Cache<TaskName, Known> known;
    /** The newest revalidation of each task that has an unanswered one. */
    private final ConcurrentHashMap<TaskName, Revalidation> revalidations = new ConcurrentHashMap<>();

    private final RareLog refusals = new RareLog(LOG);
    private final RareLog hidden = new RareLog(LOG);
    private final Duration sharedWait;
    private final ExecutorService executor = Executors.newThreadPerTaskExecutor(
            Thread.ofVirtual().name("revalidate-", 0).factory());

    @Inject
    public Tasks(Store store, StoreConfig config, Loading loading, Requirements requirements, OwnTask own) {
        this(store, config, loading, requirements, own, System::nanoTime);
    }

    Tasks(
            Store store,
            StoreConfig config,
            Loading loading,
            Requirements requirements,
            OwnTask own,
            LongSupplier nanoTime) {
        this.store = store;
        this.own = own;
        this.config = config;
        this.loading = loading;
        this.reader = new ArtifactReader(requirements, Signers.of(config.signedBy()));
        this.nanoTime = nanoTime;
        this.sharedWait = config.timeout().dividedBy(4);
        this.known = Caffeine.newBuilder()
                .maximumWeight(config.cacheBytes().asLongValue())
                .weigher((TaskName name, Known entry) -> entry.bytes())
                .build();
    }

    /** The content of a stored object: a task, or an artifact that is refused. */
    private sealed interface Content {
        record Good(StoredTask stored) implements Content {}

        record Refused(String reason) implements Content {}
    }

    /**
     * A cached stored object.
     *
     * @param lastGood the newest version that was not refused, for {@code stale-if-error}
     * @param goodNanos the time when {@code lastGood} was last validated
     * @param validatedNanos the time when {@code version} was last validated
     * @param failing whether the newest revalidation failed
     */
    private record Known(
            String version,
            Content content,
            Optional<StoredTask> lastGood,
            long goodNanos,
            long validatedNanos,
            boolean failing) {

        int bytes() {
            return (int)
                    Math.min(ENTRY_BYTES + lastGood.map(StoredTask::heapBytes).orElse(0L), Integer.MAX_VALUE);
        }

        Known failed() {
            return new Known(version, content, lastGood, goodNanos, validatedNanos, true);
        }
    }

    /**
     * One call's use of a stored task. If the store has delivered a new version, memory for it stays reserved until all calls
     * that share the revalidation have closed their uses, because the cache may have evicted it meanwhile.
     */
    public static final class Use implements AutoCloseable {

        private final CompletableFuture<Validated> validated;
        private final Runnable end;

        private Use(CompletableFuture<Validated> validated, Runnable end) {
            this.validated = validated;
            this.end = end;
        }

        /**
         * Completes with the task, or exceptionally with a {@link SoftcallException} ({@code UNKNOWN_TASK}, {@code
         * ARTIFACT_REFUSED}, {@code STORE_UNAVAILABLE}, {@code STORE_DENIED}, {@code OVERLOADED}).
         */
        public CompletableFuture<Validated> validated() {
            return validated;
        }

        /** Ends the use; called once. */
        @Override
        public void close() {
            end.run();
        }
    }

    /** One revalidation, whose answer several calls may share. */
    private static final class Revalidation {

        private final CompletableFuture<Validated> answer = new CompletableFuture<>();
        /** Completes after {@link #answer}, but without its task: the next revalidation waits for it, and may wait for long. */
        private final CompletableFuture<Void> ended = new CompletableFuture<>();

        private final Loading.Lease lease;
        /** The calls that share it and have not ended, and the request while it is under way. */
        private final AtomicInteger holders = new AtomicInteger(1);
        /**
         * Whether the request was sent, so that later calls must not share it. Changes only inside
         * {@code revalidations.compute}.
         */
        private boolean sent;

        Revalidation(Loading.Lease lease) {
            this.lease = lease;
        }

        /** Called inside {@code revalidations.compute}, so before the request has ended. */
        Revalidation hold() {
            holders.incrementAndGet();
            return this;
        }

        void letGo() {
            if (holders.decrementAndGet() == 0) {
                lease.close();
            }
        }
    }

    /**
     * Asks the store whether the cached version is still the stored one, and fetches the stored one if it is not.
     *
     * @return the caller closes it when it no longer needs the prompt
     */
    public Use revalidate(TaskName name) {
        Optional<StoredTask> always = own.named(name);
        if (always.isPresent()) {
            Validated validated = new Validated(always.get(), Optional.empty());
            return new Use(CompletableFuture.completedFuture(validated), () -> {});
        }
        Known entry = known.getIfPresent(name);
        if (entry != null
                && !entry.failing()
                && entry.content() instanceof Content.Good(StoredTask stored)
                && nanoTime.getAsLong() - entry.validatedNanos()
                        < config.maxAge().toNanos()) {
            Validated validated = new Validated(stored, store.age(name.key()));
            return new Use(CompletableFuture.completedFuture(validated), () -> {});
        }
        Revalidation joined = join(name);
        return new Use(joined.answer, joined::letGo);
    }

    private Revalidation join(TaskName name) {
        return revalidations.compute(name, (key, newest) -> {
            if (newest != null && !newest.sent) {
                return newest.hold();
            }
            Revalidation revalidation = new Revalidation(loading.lease(config.timeout())).hold();
            if (newest == null) {
                revalidation.sent = true;
                executor.execute(() -> send(key, revalidation));
            } else {
                CompletableFuture<Void> before = newest.ended;
                executor.execute(() -> sendAfter(before, key, revalidation));
            }
            return revalidation;
        });
    }

    private void sendAfter(CompletableFuture<Void> before, TaskName name, Revalidation revalidation) {
        try {
            before.get(sharedWait.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException | TimeoutException e) {
            // It is sent now.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        revalidations.computeIfPresent(name, (key, newest) -> {
            revalidation.sent = true;
            return newest;
        });
        send(name, revalidation);
    }

    private void send(TaskName name, Revalidation revalidation) {
        try {
            Validated answer = ask(name, revalidation.lease);
            revalidations.remove(name, revalidation);
            revalidation.answer.complete(answer);
        } catch (RuntimeException | Error e) {
            revalidations.remove(name, revalidation);
            revalidation.answer.completeExceptionally(e);
        } finally {
            revalidation.ended.complete(null);
            revalidation.letGo();
        }
    }

    private Validated ask(TaskName name, Loading.Lease lease) {
        Optional<Known> before = Optional.ofNullable(known.getIfPresent(name));
        Optional<String> version = before.map(Known::version);
        long asked = nanoTime.getAsLong();
        Known now;
        try {
            now = switch (store.get(name.key(), version, lease)) {
                case Store.Unchanged() -> validated(before.orElseThrow(), asked);
                case Store.Found found -> lease.run(() -> read(name, found, before, asked));
                case Store.TooLarge large -> refused(name, large.version(), tooLarge(large), before, asked);
                case Store.Damaged(String damaged, String reason) -> refused(name, damaged, reason, before, asked);
                case Store.Missing() -> {
                    known.invalidate(name);
                    throw missing(name);
                }
            };
        } catch (RuntimeException e) {
            SoftcallException problem = problem(name, e);
            if (problem.reason() == Reason.UNKNOWN_TASK) {
                throw problem;
            }
            before.ifPresent(entry -> remember(name, entry.failed()));
            return before.flatMap(this::stale).orElseThrow(() -> problem);
        }
        remember(name, now);
        return switch (now.content()) {
            case Content.Good(StoredTask stored) -> new Validated(stored, store.age(name.key()));
            case Content.Refused(String reason) -> stale(now).orElseThrow(() -> refusal(name, now.version(), reason));
        };
    }

    /**
     * Turns any failure into a {@link SoftcallException}, so that the last good version may answer after every kind of failure.
     */
    private static SoftcallException problem(TaskName name, RuntimeException e) {
        return e instanceof SoftcallException known
                ? known
                : new SoftcallException(Reason.INTERNAL, "task \"%s\" could not be revalidated".formatted(name), e)
                        .withDetail("%s", e);
    }

    /**
     * The bytes of a stored artifact. {@link #read} can read the same version from them at any later time.
     *
     * @param bytes must not be changed
     */
    public record Artifact(TaskName name, String version, byte[] bytes) {}

    /**
     * Fetches an artifact without reading it. Blocks.
     *
     * @throws SoftcallException {@code UNKNOWN_TASK}, {@code ARTIFACT_REFUSED}, {@code STORE_UNAVAILABLE}, {@code
     *     STORE_DENIED}
     */
    public Artifact fetch(TaskName name) {
        try (Loading.Lease lease = loading.lease(LEASE_OF_COPIES)) {
            return switch (store.get(name.key(), Optional.empty(), lease)) {
                case Store.Found found -> new Artifact(name, found.version(), found.bytes());
                case Store.TooLarge large -> throw refusal(name, large.version(), tooLarge(large));
                case Store.Damaged(String version, String reason) -> throw refusal(name, version, reason);
                case Store.Missing() -> throw missing(name);
                case Store.Unchanged() -> throw new IllegalStateException("no version was named");
            };
        }
    }

    /** Reads a fetched artifact. @throws SoftcallException {@code ARTIFACT_REFUSED} if it cannot be served */
    public StoredTask read(Artifact artifact) {
        try (Loading.Lease lease = loading.lease(LEASE_OF_COPIES)) {
            lease.take(artifact.bytes().length);
            return lease.run(() -> reader.read(artifact.name(), artifact.version(), artifact.bytes()));
        } catch (RefusedException e) {
            throw refusal(artifact.name(), artifact.version(), e.getMessage());
        }
    }

    private SoftcallException missing(TaskName name) {
        return new SoftcallException(Reason.UNKNOWN_TASK, "task \"%s\" does not exist".formatted(name))
                .withDetail("store %s has no object %s", store.uri(), name.key());
    }

    private SoftcallException refusal(TaskName name, String version, String reason) {
        return new SoftcallException(
                        Reason.ARTIFACT_REFUSED,
                        "task \"%s\", version %s, is refused: %s".formatted(name, version, reason))
                .withDetail("object %s in store %s", name.key(), store.uri());
    }

    private static String tooLarge(Store.TooLarge object) {
        return "%d bytes, at most %d are accepted (softcall.store.max-artifact-bytes)"
                .formatted(object.bytes(), object.limit());
    }

    /** Caches an entry, unless a newer revalidation was answered earlier. */
    private void remember(TaskName name, Known entry) {
        known.asMap().merge(name, entry, (now, late) -> late.validatedNanos() - now.validatedNanos() < 0 ? now : late);
    }

    private Known read(TaskName name, Store.Found found, Optional<Known> before, long asked) {
        if (before.isPresent() && before.get().version().equals(found.version())) {
            return validated(before.get(), asked);
        }
        try {
            StoredTask stored = reader.read(name, found.version(), Optional.of(found.modified()), found.bytes());
            Optional<StoredTask> served = before.flatMap(Known::lastGood);
            if (served.isPresent()) {
                stored.task().requireNotOlder(served.get().task().signedAt());
            }
            return new Known(found.version(), new Content.Good(stored), Optional.of(stored), asked, asked, false);
        } catch (RefusedException e) {
            return refused(name, found.version(), e.getMessage(), before, asked);
        }
    }

    private static Known validated(Known entry, long asked) {
        long good = entry.content() instanceof Content.Good ? asked : entry.goodNanos();
        return new Known(entry.version(), entry.content(), entry.lastGood(), good, asked, false);
    }

    private Known refused(TaskName name, String version, String reason, Optional<Known> before, long asked) {
        String known = Printable.of(reason);
        refusals.warn(name, "task %s, version %s is refused: %s".formatted(name, version, known));
        return new Known(
                version,
                new Content.Refused(known),
                before.flatMap(Known::lastGood),
                before.map(Known::goodNanos).orElse(asked),
                asked,
                false);
    }

    private Optional<Validated> stale(Known entry) {
        Duration age = Duration.ofNanos(nanoTime.getAsLong() - entry.goodNanos());
        return entry.lastGood()
                .filter(stored -> age.compareTo(config.staleIfError()) < 0)
                .map(stored -> new Validated(stored, Optional.of(age)));
    }

    /**
     * Returns the version to speculate with while {@link #revalidate} is in progress. Empty if nothing is cached. Also empty
     * after a failure until the store answers again, because the result of the speculation would probably be discarded.
     */
    public Optional<StoredTask> cached(TaskName name) {
        return own.named(name).or(() -> Optional.ofNullable(known.getIfPresent(name))
                .filter(entry -> !entry.failing())
                .flatMap(entry -> entry.content() instanceof Content.Good(StoredTask stored)
                        ? Optional.of(stored)
                        : Optional.empty()));
    }

    /** Lists stored tasks as {@link TaskListing#list} does. The base's own task comes first. */
    public TaskListing.Page list(TaskPatterns patterns, String after, int limit) {
        TaskListing.Page page = new TaskListing(store, nanoTime).list(patterns, after, limit);
        if (own.task().isEmpty()) {
            return page;
        }
        Task task = own.task().get().task();
        List<TaskListing.Entry> entries = new ArrayList<>();
        if (after.isEmpty() && patterns.fit(task.name())) {
            entries.add(new TaskListing.Entry(task.name(), task.stored().orElseThrow()));
        }
        for (TaskListing.Entry entry : page.entries()) {
            if (entry.name().equals(task.name())) {
                hidden.warn(
                        task.name(),
                        "the stored task \"%s\" is hidden by softcall.base.serve-as".formatted(task.name()));
            } else {
                entries.add(entry);
            }
        }
        return new TaskListing.Page(entries, page.next());
    }

    @PreDestroy
    void close() {
        executor.shutdownNow();
    }
}
