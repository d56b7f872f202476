package io.softcall.task.catalog;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.CapturedLog;
import io.softcall.ConfigMappings;
import io.softcall.EditedArtifact;
import io.softcall.Printable;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.Tiny;
import io.softcall.store.Loading;
import io.softcall.store.Store;
import io.softcall.store.StoreConfig;
import io.softcall.task.PrefixLayout;
import io.softcall.task.Requirements;
import io.softcall.task.TaskName;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.logging.Level;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * What the cache keeps of the store's answers, for how long, and which calls share a revalidation. Time stands still unless a
 * test moves it.
 */
class TasksTest {

    private static final PrefixLayout LAYOUT = new PrefixLayout("fp32", "digest", true, 2, 2, 16);
    private static final TaskName NAME = new TaskName("sentiment");
    private static final TaskName OTHER = new TaskName("other");

    private final AtomicLong nanos = new AtomicLong();
    private final Memory store = new Memory();

    @Test
    void eachCallAsks() {
        Tasks tasks = tasks(Map.of());
        for (int i = 0; i < 5; i++) {
            assertEquals("v1", version(tasks));
        }
        assertEquals(5, store.asked.get());
        assertEquals(4, store.unchanged.get());
    }

    @Test
    void maxAgeReusesAnAnswerForThatLong() {
        Tasks tasks = tasks(Map.of("softcall.store.max-age", "2S"));
        version(tasks);
        nanos.addAndGet(TimeUnit.MILLISECONDS.toNanos(1_999));
        version(tasks);
        assertEquals(1, store.asked.get());
        nanos.addAndGet(TimeUnit.MILLISECONDS.toNanos(1));
        version(tasks);
        assertEquals(2, store.asked.get());
    }

    @Test
    void withoutStaleIfErrorAFailureFailsAndNothingIsGuessedUntilTheStoreAnswers() {
        Tasks tasks = tasks(Map.of());
        version(tasks);
        assertTrue(tasks.cached(NAME).isPresent());
        store.away = true;
        assertEquals(Reason.STORE_UNAVAILABLE, failure(tasks));
        assertFalse(tasks.cached(NAME).isPresent());
        store.away = false;
        version(tasks);
        assertTrue(tasks.cached(NAME).isPresent());
    }

    @Test
    void staleIfErrorAnswersForThatLongAndSaysSo() {
        Tasks tasks = tasks(Map.of("softcall.store.stale-if-error", "10S"));
        version(tasks);
        nanos.addAndGet(TimeUnit.SECONDS.toNanos(9));
        store.away = true;
        Tasks.Validated answer = tasks.revalidate(NAME).validated().join();
        assertEquals("v1", answer.stored().task().version());
        assertEquals(9, answer.staleness().orElseThrow().toSeconds());
        nanos.addAndGet(TimeUnit.SECONDS.toNanos(1));
        assertEquals(Reason.STORE_UNAVAILABLE, failure(tasks));
    }

    @Test
    void staleIfErrorCoversAFaultOfTheStoresCodeToo() {
        Tasks tasks = tasks(Map.of("softcall.store.stale-if-error", "10S"));
        version(tasks);
        store.fault = true;
        assertEquals("v1", version(tasks));
        nanos.addAndGet(TimeUnit.SECONDS.toNanos(11));
        assertEquals(Reason.INTERNAL, failure(tasks));
    }

    @Test
    void staleIfErrorCoversARefusedArtifactToo() {
        Tasks tasks = tasks(Map.of("softcall.store.stale-if-error", "10S"));
        version(tasks);
        store.put("v2", Tiny.broken("nan"));
        assertEquals("v1", version(tasks));
        nanos.addAndGet(TimeUnit.SECONDS.toNanos(11));
        assertEquals(Reason.ARTIFACT_REFUSED, failure(tasks));
        store.put("v3", Tiny.artifact("sentiment"));
        assertEquals("v3", version(tasks));
    }

    /** An old prompt with a valid signature, which somebody stores again. */
    @Test
    void oneThatWasSignedEarlierDoesNotReplaceTheServedOne() {
        store.put("v1", Tiny.signed("earlier"));
        Tasks tasks = tasks(Map.of("softcall.store.signed-by", Tiny.publicKey()));
        assertEquals("v1", version(tasks));
        store.put("v2", Tiny.signed("later"));
        assertEquals("v2", version(tasks));
        store.put("v3", Tiny.signed("earlier"));
        assertEquals(Reason.ARTIFACT_REFUSED, failure(tasks));
        store.put("v4", Tiny.signed("later"));
        assertEquals("v4", version(tasks));
    }

    @Test
    void aDeletedTaskIsGoneAtOnce() {
        Tasks tasks = tasks(Map.of("softcall.store.stale-if-error", "10S"));
        version(tasks);
        store.object = Optional.empty();
        assertEquals(Reason.UNKNOWN_TASK, failure(tasks));
        assertFalse(tasks.cached(NAME).isPresent());
    }

    /** This holds for any number of calls and versions. */
    @Test
    void aRefusedTaskIsOneLineOfTheLogAMinute() {
        try (CapturedLog log = new CapturedLog()) {
            Tasks tasks = tasks(Map.of());
            for (int i = 0; i < 50; i++) {
                nanos.incrementAndGet();
                store.put(
                        "refused-" + i,
                        EditedArtifact.of("sentiment")
                                .metadata(softcall -> softcall.put("kind", "\n".repeat(100_000)))
                                .bytes());
                assertEquals(Reason.ARTIFACT_REFUSED, failure(tasks));
            }
            List<String> refusals = log.lines(Level.INFO).stream()
                    .filter(line -> line.contains("refused-"))
                    .toList();
            assertEquals(1, refusals.size());
            String message = refusals.getFirst().substring((Tasks.class.getName() + ": ").length());
            assertTrue(message.length() <= Printable.MAX_LENGTH);
        }
    }

    /** A caller of a task need not know the address of the store. */
    @Test
    void wherePromptsLieIsForThoseAloneWhoRunTheServer() {
        Tasks tasks = tasks(Map.of());
        store.put("v1", Tiny.broken("nan"));
        SoftcallException refused = problem(tasks);
        assertTrue(refused.publicMessage().contains("\"sentiment\", version v1, is refused"), refused::publicMessage);
        store.object = Optional.empty();
        SoftcallException missing = problem(tasks);
        assertEquals("task \"sentiment\" does not exist", missing.publicMessage());
        for (SoftcallException e : List.of(refused, missing, missing.again())) {
            assertFalse(e.publicMessage().contains("memory"), e::publicMessage);
            assertFalse(e.publicMessage().contains(NAME.key()), e::publicMessage);
            assertTrue(e.getMessage().contains(" memory"), e::getMessage);
            assertTrue(e.getMessage().contains(NAME.key()), e::getMessage);
        }
    }

    @Test
    void callsShareOnlyARevalidationThatIsSentAfterTheyArrived() throws Exception {
        Tasks tasks = tasks(Map.of("softcall.store.timeout", "1H"));
        store.hold = new CountDownLatch(1);
        CompletableFuture<Tasks.Validated> first = tasks.revalidate(NAME).validated();
        store.entered.await();
        List<CompletableFuture<Tasks.Validated>> joined = IntStream.range(0, 50)
                .mapToObj(i -> tasks.revalidate(NAME).validated())
                .toList();
        // The revalidation in flight has already read v1. Calls after this overwrite must not get v1.
        store.put("v2", Tiny.artifact("sentiment"));
        store.hold.countDown();
        assertEquals("v1", first.join().stored().task().version());
        for (CompletableFuture<Tasks.Validated> one : joined) {
            assertEquals("v2", one.join().stored().task().version());
        }
        assertEquals(2, store.asked.get());
    }

    @Test
    void aSlowRevalidationDelaysOthersByAtMostAQuarterOfTheTimeout() throws Exception {
        Tasks tasks = tasks(Map.of("softcall.store.timeout", "40MS"));
        CountDownLatch release = new CountDownLatch(1);
        store.hold = release;
        CompletableFuture<Tasks.Validated> slow = tasks.revalidate(NAME).validated();
        store.entered.await();
        store.hold = new CountDownLatch(0);
        nanos.incrementAndGet();
        store.put("v2", Tiny.artifact("sentiment"));
        assertEquals("v2", version(tasks));
        assertFalse(slow.isDone());
        // The slow answer is right for its own call, but is not cached, because a newer revalidation got a newer
        // version.
        release.countDown();
        assertEquals("v1", slow.join().stored().task().version());
        assertEquals("v2", tasks.cached(NAME).orElseThrow().task().version());
    }

    @Test
    void aSilentStoreGetsAtMostFiveRevalidationsAtOnce() throws Exception {
        Tasks tasks = tasks(Map.of("softcall.store.timeout", "200MS"));
        store.silentMs = 200;
        List<CompletableFuture<Tasks.Validated>> calls = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            calls.add(tasks.revalidate(NAME).validated());
            Thread.sleep(5);
        }
        calls.forEach(call -> assertThrows(CompletionException.class, call::join));
        assertTrue(store.mostAtOnce.get() > 1 && store.mostAtOnce.get() <= 5, () -> store.mostAtOnce + " at once");
    }

    /** Two of these artifacts are more than may be loaded at once. The call behind the first one still holds its task. */
    @Test
    void memoryForANewVersionIsReservedUntilItsCallsHaveEnded() {
        store.put("v1", large());
        Tasks tasks = tasks(Map.of("softcall.store.timeout", "50MS"));
        Tasks.Use first = tasks.revalidate(NAME);
        first.validated().join();
        assertEquals(Reason.OVERLOADED, failure(tasks, OTHER));
        // A call that finds the version cached reserves nothing.
        Tasks.Use cached = tasks.revalidate(NAME);
        cached.validated().join();
        first.close();
        try (Tasks.Use second = tasks.revalidate(OTHER)) {
            assertEquals("v1", second.validated().join().stored().task().version());
        }
        cached.close();
    }

    @Test
    void callsThatShareARevalidationHoldItsMemoryTogether() throws Exception {
        store.put("v1", large());
        store.hold = new CountDownLatch(1);
        Tasks tasks = tasks(Map.of("softcall.store.timeout", "500MS"));
        Tasks.Use first = tasks.revalidate(NAME);
        store.entered.await();
        store.put("v2", large());
        // Neither may share the request that was sent before they came, so they share the next one.
        Tasks.Use second = tasks.revalidate(NAME);
        Tasks.Use third = tasks.revalidate(NAME);
        first.close();
        store.hold.countDown();
        assertEquals("v2", second.validated().join().stored().task().version());
        assertEquals("v2", third.validated().join().stored().task().version());
        second.close();
        assertEquals(Reason.OVERLOADED, failure(tasks, OTHER));
        third.close();
        try (Tasks.Use other = tasks.revalidate(OTHER)) {
            assertEquals("v2", other.validated().join().stored().task().version());
        }
    }

    private static byte[] large() {
        return EditedArtifact.of("kv")
                .floats("prompt_embeddings", new float[1_023 * 128], 1_023, 128)
                .bytes();
    }

    private Tasks tasks(Map<String, String> settings) {
        String fingerprint = "784ded2fad3486e1b4f29e4e0f1c912bc888b820d9929784604e24c5dee4f61e";
        return new Tasks(
                store,
                ConfigMappings.of(StoreConfig.class, settings),
                new Loading(1 << 20, 1 << 20),
                new Requirements("tiny-llama", Set.of(fingerprint), 64, 1_024, 2_048, LAYOUT, true),
                new OwnTask(Optional.empty()),
                nanos::get);
    }

    private static String version(Tasks tasks) {
        try (Tasks.Use use = tasks.revalidate(NAME)) {
            return use.validated().join().stored().task().version();
        }
    }

    private static Reason failure(Tasks tasks) {
        return problem(tasks).reason();
    }

    private static SoftcallException problem(Tasks tasks) {
        return problem(tasks, NAME);
    }

    private static Reason failure(Tasks tasks, TaskName name) {
        return problem(tasks, name).reason();
    }

    private static SoftcallException problem(Tasks tasks, TaskName name) {
        try (Tasks.Use use = tasks.revalidate(name)) {
            CompletionException e = assertThrows(
                    CompletionException.class, () -> use.validated().join());
            return (SoftcallException) e.getCause();
        }
    }

    /** A store in memory, whose answers can be held back and whose failures can be chosen. */
    private static final class Memory implements Store {

        private record Stored(String version, byte[] bytes) {}

        private final AtomicInteger asked = new AtomicInteger();
        private final AtomicInteger unchanged = new AtomicInteger();
        private final CountDownLatch entered = new CountDownLatch(1);
        private volatile CountDownLatch hold = new CountDownLatch(0);
        private volatile boolean away;
        private volatile boolean fault;
        private volatile long silentMs;
        private final AtomicInteger atOnce = new AtomicInteger();
        private final AtomicInteger mostAtOnce = new AtomicInteger();
        private volatile Optional<Stored> object = Optional.of(new Stored("v1", Tiny.artifact("sentiment")));

        void put(String version, byte[] bytes) {
            object = Optional.of(new Stored(version, bytes));
        }

        @Override
        public Answer get(String key, Optional<String> known, Loading.Lease lease) {
            asked.incrementAndGet();
            if (away) {
                throw new SoftcallException(Reason.STORE_UNAVAILABLE, "away");
            }
            if (fault) {
                throw new NullPointerException("a fault");
            }
            Optional<Stored> now = object;
            CountDownLatch held = hold;
            entered.countDown();
            try {
                if (silentMs > 0) {
                    mostAtOnce.accumulateAndGet(atOnce.incrementAndGet(), Math::max);
                    Thread.sleep(silentMs);
                    atOnce.decrementAndGet();
                    throw new SoftcallException(Reason.STORE_UNAVAILABLE, "silent");
                }
                held.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            if (now.isEmpty()) {
                return new Missing();
            }
            if (known.filter(now.get().version()::equals).isPresent()) {
                unchanged.incrementAndGet();
                return new Unchanged();
            }
            lease.take(now.get().bytes().length);
            return new Found(now.get().version(), Instant.EPOCH, now.get().bytes());
        }

        @Override
        public Page list(String prefix, String suffix, String after, int limit) {
            return new Page(List.of(), Optional.empty(), true);
        }

        @Override
        public String uri() {
            return "memory";
        }
    }
}
