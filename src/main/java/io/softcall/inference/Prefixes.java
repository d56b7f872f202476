package io.softcall.inference;

import com.github.benmanes.caffeine.cache.AsyncCache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.RemovalCause;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.task.KvPrompt;
import io.softcall.task.Prompt;
import io.softcall.task.ReadyPrefix;
import io.softcall.task.SoftPrompt;
import io.softcall.task.StoredTask;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * A cache of the prefixes of recently called tasks, bounded in bytes. Each prefix is loaded or computed once per version.
 */
@Singleton
public class Prefixes {

    /** The part of the heap for prompts whose prefixes are being made: their callers hold them, whatever the caches evict. */
    private static final int PART_OF_THE_HEAP = 8;

    private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

    /** A version of a task. Two tasks with equal content have two entries. */
    private record Key(TaskName name, String version) {}

    private final Model model;
    private final AsyncCache<Key, Prefix> cache;
    /**
     * A platform thread, because encoding is native code that would block the carrier of a virtual thread for tens of
     * milliseconds.
     */
    private final ExecutorService encoder = thread("encode-");
    /**
     * Another one, because a prefix of a thousand tokens has tens of megabytes, and because loading does not wait for the
     * encoder. One after the other, so that the memory for prefixes is taken in order.
     */
    private final ExecutorService loader = thread("load-");

    private final long maxPendingBytes;
    /** The bytes of the prompts whose prefixes are being made, on the Java heap. */
    private final AtomicLong pendingBytes = new AtomicLong();

    private final Counter encoded;
    private final Counter ready;

    @Inject
    Prefixes(Model model, InferenceConfig config, MeterRegistry metrics) {
        this(model, config, metrics, Runtime.getRuntime().maxMemory() / PART_OF_THE_HEAP);
    }

    /** @param maxPendingBytes the bound on prompts whose prefixes are being made; a larger one is made alone */
    Prefixes(Model model, InferenceConfig config, MeterRegistry metrics, long maxPendingBytes) {
        this.model = model;
        this.maxPendingBytes = maxPendingBytes;
        this.cache = Caffeine.newBuilder()
                .maximumWeight(config.prefix().cacheBytes().asLongValue())
                .weigher((Key key, Prefix prefix) -> (int) Math.min(prefix.bytes(), Integer.MAX_VALUE))
                .executor(Runnable::run)
                .removalListener((Key key, Prefix prefix, RemovalCause cause) -> {
                    if (prefix != null) {
                        prefix.release();
                    }
                })
                .buildAsync();
        this.encoded = Counter.builder("softcall.prefix.encoded")
                .description("prompts turned into prefixes")
                .register(metrics);
        this.ready = Counter.builder("softcall.prefix.ready")
                .description("prefixes that came with their artifacts")
                .register(metrics);
        Gauge.builder("softcall.prefix.cached", cache, c -> c.synchronous().estimatedSize())
                .description("prefixes in the cache")
                .register(metrics);
        Gauge.builder("softcall.prefix.cached.bytes", cache, Prefixes::weight)
                .baseUnit("bytes")
                .description("memory of the prefixes in the cache")
                .register(metrics);
    }

    private static ExecutorService thread(String name) {
        return Executors.newSingleThreadExecutor(
                Thread.ofPlatform().name(name, 0).daemon().factory());
    }

    private static double weight(AsyncCache<Key, Prefix> cache) {
        return cache.synchronous()
                .policy()
                .eviction()
                .flatMap(eviction -> eviction.weightedSize().stream().boxed().findFirst())
                .orElse(0L);
    }

    /**
     * Returns the task's prefix, which is loaded or computed if the cache lacks it. The caller holds a reference and must
     * release it.
     *
     * @param await waits for the future, which other callers may wait for too
     * @throws SoftcallException {@code OVERLOADED} if the prompts of waiting callers take too much memory
     */
    public Prefix acquire(StoredTask stored, Function<CompletableFuture<Prefix>, Prefix> await) {
        return acquire(stored, await, true);
    }

    /** Returns the prefix as {@link #acquire} does, for a caller that bounds its prompts: it is not refused. */
    Prefix acquireBounded(StoredTask stored, Function<CompletableFuture<Prefix>, Prefix> await) {
        return acquire(stored, await, false);
    }

    private Prefix acquire(
            StoredTask stored, Function<CompletableFuture<Prefix>, Prefix> await, boolean refusesIfOverloaded) {
        Key key = new Key(stored.task().name(), stored.task().version());
        while (true) {
            Making making = new Making(stored.prompt(), refusesIfOverloaded);
            CompletableFuture<Prefix> future = cache.get(key, (missing, executor) -> making.begin());
            if (making.begun) {
                return making.await(future, await);
            }
            Prefix prefix = await.apply(future);
            if (prefix.retain()) {
                return prefix;
            }
            // The prefix was evicted and freed between the two lines above. The cache no longer holds it.
        }
    }

    /**
     * The making of a prefix that the cache lacks. The caller that begins it gets a reference of its own before the cache sees
     * the prefix: the cache evicts a prefix that is larger than the cache at once, and nobody could use it.
     */
    private final class Making {

        private final Prompt prompt;
        private final boolean refusesIfOverloaded;
        private boolean begun;

        Making(Prompt prompt, boolean refusesIfOverloaded) {
            this.prompt = prompt;
            this.refusesIfOverloaded = refusesIfOverloaded;
        }

        CompletableFuture<Prefix> begin() {
            long bytes = prompt.heapBytes();
            addPending(bytes, refusesIfOverloaded);
            begun = true;
            return make(prompt)
                    .whenComplete((prefix, problem) -> pendingBytes.addAndGet(-bytes))
                    .thenApply(prefix -> {
                        prefix.retain();
                        return prefix;
                    });
        }

        Prefix await(CompletableFuture<Prefix> future, Function<CompletableFuture<Prefix>, Prefix> await) {
            Optional<Prefix> prefix = Optional.empty();
            try {
                prefix = Optional.of(await.apply(future));
                return prefix.get();
            } finally {
                if (prefix.isEmpty()) {
                    future.thenAccept(Prefix::release);
                }
            }
        }
    }

    private void addPending(long bytes, boolean refusesIfOverloaded) {
        long all = pendingBytes.addAndGet(bytes);
        if (refusesIfOverloaded && all > maxPendingBytes && all > bytes) {
            pendingBytes.addAndGet(-bytes);
            throw SoftcallException.overloaded(
                    "prompts that wait for their prefixes take all memory for them: %d bytes".formatted(all - bytes),
                    RETRY_AFTER);
        }
    }

    /**
     * Removes the prefix of a replaced version from the cache, which frees its space. Callers that acquired the prefix keep
     * it.
     */
    void forget(Task task) {
        cache.synchronous().invalidate(new Key(task.name(), task.version()));
    }

    private CompletableFuture<Prefix> make(Prompt prompt) {
        return switch (prompt) {
            case KvPrompt(ReadyPrefix prefix) -> load(prefix);
            case Prompt.None none -> CompletableFuture.supplyAsync(model::none, loader);
            case SoftPrompt soft -> soft.ready().map(this::load).orElseGet(() -> encode(soft));
        };
    }

    private CompletableFuture<Prefix> load(ReadyPrefix prefix) {
        return counted(ready, () -> model.load(prefix), loader);
    }

    private CompletableFuture<Prefix> encode(SoftPrompt prompt) {
        return counted(encoded, () -> model.encode(prompt), encoder);
    }

    private static CompletableFuture<Prefix> counted(Counter counter, Supplier<Prefix> made, ExecutorService thread) {
        return CompletableFuture.supplyAsync(
                () -> {
                    counter.increment();
                    return made.get();
                },
                thread);
    }

    @PreDestroy
    void close() {
        encoder.shutdownNow();
        loader.shutdownNow();
        cache.synchronous().invalidateAll();
    }
}
