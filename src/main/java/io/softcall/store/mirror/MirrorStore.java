package io.softcall.store.mirror;

import io.softcall.Printable;
import io.softcall.Sha256;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.store.Loading;
import io.softcall.store.Store;
import io.softcall.store.Utf8Order;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.jboss.logging.Logger;

/**
 * A local copy of a store that may be unavailable for a long time. It answers from the copy at once, and asks the store for
 * changes in the background, at an interval. An object's version is the SHA-256 of its content. docs/edge.md has the
 * guarantees.
 */
public final class MirrorStore implements Store, AutoCloseable {

    private static final Logger LOG = Logger.getLogger(MirrorStore.class);

    /** The bound on the objects of one round. */
    private static final int MAX_KEYS = 10_000;

    private static final int PAGE_KEYS = 1_000;
    /**
     * The origin's answer about one object takes at most half an interval, and the pause after a failed round is a quarter, so
     * that changes still arrive in time.
     */
    private static final int REQUESTS_PER_INTERVAL = 2;

    private static final int FAILED_ROUNDS_PER_INTERVAL = 4;

    /** The number of failures after which a round ends, because the store and not a single object is unavailable. */
    private static final int MAX_FAILURES = 3;

    private final Store origin;
    private final MirrorFolder folder;
    private final Acceptance acceptance;
    private final Duration interval;
    private final Loading loading;

    /** The served version, its size, and the time when it was last validated. */
    private record Held(MirrorFolder.Version version, long bytes, Instant confirmed) {

        static Held of(MirrorFolder.Copy copy, Instant confirmed) {
            return new Held(copy.version(), copy.content().length, confirmed);
        }
    }

    /**
     * The newest version of the origin that was validated.
     *
     * @param refusal the reason why it is not served; empty if it is served
     */
    private record Seen(String version, Optional<String> refusal) {}

    private final ConcurrentNavigableMap<String, Held> held = new ConcurrentSkipListMap<>(Utf8Order.COMPARATOR);
    private final Map<String, Seen> seen = new ConcurrentHashMap<>();
    /** The times when the origin's objects were stored, by key, as of the last round. */
    private volatile Map<String, Instant> stored = Map.of();

    /** The reason why the last round failed; empty after a successful one. */
    private volatile Optional<SoftcallException> failure = Optional.empty();

    private final CountDownLatch firstRound = new CountDownLatch(1);
    private final Duration firstRoundTimeout;
    private final ScheduledExecutorService rounds = Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().name("mirror").daemon().factory());

    /** Returns the time limit of one answer of the origin, for an interval between rounds. */
    public static Duration originTimeout(Duration interval) {
        return interval.dividedBy(REQUESTS_PER_INTERVAL);
    }

    /**
     * Opens the copies and starts the rounds.
     *
     * @param loading bounds the contents that are loaded at the same time
     * @param firstRoundTimeout how long an answer about an object without a copy waits for the first round
     * @throws IllegalArgumentException if the folder cannot be used
     */
    public MirrorStore(
            Store origin,
            MirrorFolder folder,
            Acceptance acceptance,
            Loading loading,
            Duration interval,
            Duration firstRoundTimeout) {
        this.origin = origin;
        this.folder = folder;
        this.acceptance = acceptance;
        this.loading = loading;
        this.interval = interval;
        this.firstRoundTimeout = firstRoundTimeout;
        try {
            for (String key : folder.keys()) {
                open(key);
            }
        } catch (IOException e) {
            throw new IllegalArgumentException(
                    "the mirror's folder %s cannot be read: %s".formatted(folder.root(), e), e);
        }
        LOG.infof("%s holds copies of %d objects of %s", folder.root(), held.size(), origin.uri());
        rounds.execute(this::round);
    }

    /** Serves the newest copy that is intact and acceptable, if there is one. */
    private Optional<MirrorFolder.Copy> open(String key) throws IOException {
        Optional<MirrorFolder.Copy> copy = folder.newest(
                key,
                content -> acceptance.refusal(key, content, Optional.empty()).isEmpty());
        copy.ifPresentOrElse(found -> held.put(key, Held.of(found, found.confirmed())), () -> held.remove(key));
        return copy;
    }

    @Override
    public Answer get(String key, Optional<String> known, Loading.Lease lease) {
        Held now = held.get(key);
        if (now == null) {
            awaitFirstRound();
            now = held.get(key);
        }
        if (now == null) {
            return absent(key);
        }
        if (known.filter(now.version().sha256()::equals).isPresent()) {
            return new Unchanged();
        }
        MirrorFolder.Version version = now.version();
        lease.take(now.bytes());
        try {
            return lease.run(() -> read(key, version))
                    .<Answer>map(found ->
                            new Found(found.version().sha256(), modified(key, found.confirmed()), found.content()))
                    .orElseGet(() -> absent(key));
        } catch (IOException e) {
            throw new SoftcallException(Reason.STORE_UNAVAILABLE, "the mirror cannot be read", e)
                    .withDetail("%s: %s", uri(), e);
        }
    }

    private Optional<MirrorFolder.Copy> read(String key, MirrorFolder.Version version) throws IOException {
        Optional<MirrorFolder.Copy> copy = folder.read(version);
        if (copy.isPresent()) {
            return copy;
        }
        // It was damaged, or replaced by another process. The next round fetches the object again.
        seen.remove(key);
        return open(key);
    }

    private Answer absent(String key) {
        Optional<String> refusal = Optional.ofNullable(seen.get(key)).flatMap(Seen::refusal);
        if (refusal.isPresent()) {
            throw new SoftcallException(
                            Reason.ARTIFACT_REFUSED, "object %s is refused: %s".formatted(key, refusal.get()))
                    .withDetail("in store %s", origin.uri());
        }
        if (firstRound.getCount() > 0) {
            throw new SoftcallException(
                            Reason.STORE_UNAVAILABLE,
                            "the mirror has no copy of %s yet: the first round is in progress".formatted(key))
                    .withDetail("%s", uri());
        }
        failure.ifPresent(e -> {
            throw new SoftcallException(
                            e.reason(), "the mirror has no copy of %s, and %s".formatted(key, e.publicMessage()), e)
                    .withDetail("%s: %s", uri(), e.detail());
        });
        return new Missing();
    }

    private void awaitFirstRound() {
        try {
            firstRound.await(firstRoundTimeout.toNanos(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public Optional<Duration> age(String key) {
        return Optional.ofNullable(held.get(key)).map(now -> {
            Duration age = Duration.between(now.confirmed(), Instant.now());
            return age.isNegative() ? Duration.ZERO : age;
        });
    }

    @Override
    public Page list(String prefix, String suffix, String after, int limit) {
        String from = Utf8Order.COMPARATOR.compare(after, prefix) < 0 ? prefix : after;
        List<Entry> entries = held.tailMap(from, !from.equals(after)).entrySet().stream()
                .takeWhile(entry -> entry.getKey().startsWith(prefix))
                .filter(entry -> entry.getKey().endsWith(suffix))
                .limit(limit)
                .map(entry -> new Entry(
                        entry.getKey(),
                        modified(entry.getKey(), entry.getValue().confirmed())))
                .toList();
        return new Page(
                entries,
                entries.size() < limit
                        ? Optional.empty()
                        : Optional.of(entries.getLast().key()),
                true);
    }

    /** Returns the time when the origin's object was stored, or that of the last validation if it is unknown. */
    private Instant modified(String key, Instant confirmed) {
        return stored.getOrDefault(key, confirmed);
    }

    @Override
    public String uri() {
        return "mirror:%s?dir=%s".formatted(origin.uri(), folder.root());
    }

    /** Asks the origin for changes, and schedules the next round. */
    private void round() {
        try {
            Stored now = stored();
            stored = now.modified();
            refresh(stored.keySet());
            if (now.whole()) {
                drop(folder.keys(), stored.keySet());
                drop(seen.keySet(), stored.keySet());
            }
            if (failure.isPresent()) {
                LOG.infof("store %s answers again", origin.uri());
            }
            failure = Optional.empty();
        } catch (IOException | RuntimeException e) {
            failed(e);
        } finally {
            firstRound.countDown();
        }
        Duration pause = failure.isPresent() ? interval.dividedBy(FAILED_ROUNDS_PER_INTERVAL) : interval;
        if (!rounds.isShutdown()) {
            rounds.schedule(this::round, pause.toNanos(), TimeUnit.NANOSECONDS);
        }
    }

    /** Records a failure. Only the first of several failed rounds is logged. */
    private void failed(Exception e) {
        SoftcallException problem = e instanceof SoftcallException known
                ? known
                : new SoftcallException(Reason.STORE_UNAVAILABLE, "the mirror failed", e).withDetail("%s", e);
        if (failure.isEmpty() && held.isEmpty()) {
            LOG.warnf(
                    "%s has no copies yet: calls are answered 503 until the store answers. It is asked every %d s. %s",
                    uri(), interval.dividedBy(FAILED_ROUNDS_PER_INTERVAL).toSeconds(), problem.getMessage());
        } else if (failure.isEmpty()) {
            LOG.warnf("%s answers from its copies: %s", uri(), problem.getMessage());
        }
        failure = Optional.of(problem);
    }

    /**
     * The objects of the origin.
     *
     * @param modified the times when they were stored, by key
     * @param whole whether the origin certainly has no other objects
     */
    private record Stored(Map<String, Instant> modified, boolean whole) {}

    private Stored stored() {
        Map<String, Instant> modified = new HashMap<>();
        boolean whole = true;
        Optional<String> after = Optional.of("");
        while (after.isPresent()) {
            Page page = origin.list("", acceptance.suffix(), after.get(), PAGE_KEYS);
            page.entries().forEach(entry -> modified.put(entry.key(), entry.modified()));
            whole &= page.whole();
            after = page.next();
            if (modified.size() > MAX_KEYS) {
                throw new SoftcallException(
                                Reason.STORE_UNAVAILABLE,
                                "the store has more than %d tasks, which is the limit of a mirror".formatted(MAX_KEYS))
                        .withDetail("store %s", origin.uri());
            }
        }
        return new Stored(Map.copyOf(modified), whole);
    }

    /**
     * Refreshes objects. An object that is unavailable does not hold up others.
     *
     * @throws SoftcallException the first failure, which makes the round fail
     */
    private void refresh(Set<String> keys) throws IOException {
        List<SoftcallException> failures = new ArrayList<>();
        for (String key : keys) {
            try {
                refresh(key);
            } catch (SoftcallException e) {
                failures.add(e);
                if (failures.size() == MAX_FAILURES) {
                    break;
                }
            }
        }
        if (!failures.isEmpty()) {
            throw failures.getFirst();
        }
    }

    private void refresh(String key) throws IOException {
        Held now = held.get(key);
        if (now != null && folder.left(key).contains(now.version().sha256())) {
            // Another process has rolled it back.
            open(key);
            seen.remove(key);
        }
        Optional<Seen> before = Optional.ofNullable(seen.get(key));
        Instant asked = Instant.now();
        try (Loading.Lease lease = loading.lease(interval)) {
            take(key, before, origin.get(key, before.map(Seen::version), lease), asked);
        }
    }

    private void take(String key, Optional<Seen> before, Answer answer, Instant asked) throws IOException {
        switch (answer) {
            case Unchanged() -> {
                if (before.orElseThrow().refusal().isEmpty()) {
                    confirm(key, asked);
                }
            }
            case Found(String version, Instant modified, byte[] content) -> look(key, version, content, asked);
            case TooLarge(String version, long bytes, long limit) ->
                refuse(
                        key,
                        version,
                        "%d bytes, at most %d are accepted (softcall.store.max-artifact-bytes)"
                                .formatted(bytes, limit));
            case Damaged(String version, String reason) -> refuse(key, version, reason);
            case Missing() -> {
                // The next listing shows whether it was deleted.
            }
        }
    }

    private void look(String key, String version, byte[] content, Instant asked) throws IOException {
        String sha256 = Sha256.of(content);
        Optional<MirrorFolder.Copy> copy = held.containsKey(key) ? open(key) : Optional.empty();
        if (copy.filter(found -> found.version().sha256().equals(sha256)).isPresent()) {
            seen.put(key, new Seen(version, Optional.empty()));
            confirm(key, asked);
            return;
        }
        Optional<String> refusal = folder.left(key).contains(sha256)
                ? Optional.of("it was rolled back here")
                : acceptance.refusal(key, content, copy.map(MirrorFolder.Copy::content));
        if (refusal.isPresent()) {
            refuse(key, version, refusal.get());
            return;
        }
        try {
            MirrorFolder.Copy taken = folder.put(key, content);
            held.put(key, Held.of(taken, asked));
            seen.put(key, new Seen(version, Optional.empty()));
            LOG.infof("%s is now version %s", key, sha256);
        } catch (IOException e) {
            LOG.warnf("the mirror %s cannot be written: %s", folder.root(), e);
            refuse(key, version, "the mirror cannot be written");
        }
    }

    private void refuse(String key, String version, String reason) {
        Seen now = new Seen(version, Optional.of(reason));
        if (!now.equals(seen.put(key, now))) {
            String others = held.containsKey(key)
                    ? "version " + held.get(key).version().sha256() + " is still served"
                    : "no other version is served";
            LOG.warn(Printable.of("%s, version %s in store %s, is refused: %s; %s"
                    .formatted(key, version, origin.uri(), reason, others)));
        }
    }

    private void confirm(String key, Instant asked) throws IOException {
        Held now = held.get(key);
        if (now != null && folder.confirm(now.version())) {
            held.put(key, new Held(now.version(), now.bytes(), asked));
        } else {
            open(key);
            seen.remove(key);
        }
    }

    private void drop(Collection<String> known, Set<String> stored) throws IOException {
        for (String key : Set.copyOf(known)) {
            if (!stored.contains(key)) {
                held.remove(key);
                seen.remove(key);
                folder.remove(key);
                LOG.info(Printable.of("%s is gone from store %s".formatted(key, origin.uri())));
            }
        }
    }

    @Override
    public void close() {
        rounds.shutdownNow();
    }
}
