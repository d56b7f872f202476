package io.softcall.inference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.softcall.ConfigMappings;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.Tiny;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.OnnxModel;
import io.softcall.inference.onnx.PackedWeights;
import io.softcall.inference.onnx.PartitionedTrunk;
import io.softcall.inference.onnx.prefix.LayerPrefixes;
import io.softcall.inference.onnx.session.SessionResources;
import io.softcall.task.Kind;
import io.softcall.task.KvPrompt;
import io.softcall.task.LabelHead;
import io.softcall.task.Prompt;
import io.softcall.task.ReadyPrefix;
import io.softcall.task.SoftPrompt;
import io.softcall.task.StoredFloats;
import io.softcall.task.StoredTask;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import io.softcall.task.Template;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Prefixes are loaded or computed. */
class PrefixesTest {

    private static final int TOKENS = 4;
    private static final int HIDDEN = 64;

    private static final SessionResources MEANS = new SessionResources(1, 0, true);

    private final Bundle bundle = Bundle.open(Tiny.BASE, "fp32");
    private final SimpleMeterRegistry metrics = new SimpleMeterRegistry();
    private OnnxModel model;
    private Prefixes prefixes;

    private void serve(Bundle served) {
        serve(served, Tiny.CACHE_BYTES);
    }

    private void serve(Bundle served, long cacheBytes) {
        serve(served, cacheBytes, Long.MAX_VALUE);
    }

    private void serve(Bundle served, long cacheBytes, long maxPendingBytes) {
        model = new OnnxModel(
                served,
                PartitionedTrunk.single(PackedWeights.of(served.served(), Optional.of(Tiny.PACKED))
                        .open(served, MEANS)),
                Device.CPU,
                new LayerPrefixes(served, cacheBytes),
                MEANS,
                Duration.ofSeconds(1));
        prefixes = new Prefixes(
                model,
                ConfigMappings.of(
                        InferenceConfig.class, Map.of("softcall.prefix.cache-bytes", Long.toString(cacheBytes))),
                metrics,
                maxPendingBytes);
    }

    @AfterEach
    void close() {
        prefixes.close();
        model.close();
    }

    @Test
    void anArtifactWithoutPrefixIsEncodedOnce() throws Exception {
        serve(bundle);
        Prefix first = prefixes.acquire(task(Optional.empty()), CompletableFuture::join);
        assertSame(first, prefixes.acquire(task(Optional.empty()), CompletableFuture::join));
        assertEquals(1, count("encoded"));
        assertEquals(0, count("ready"));
    }

    @Test
    void aReadyPrefixNeedsNoEncoder() throws Exception {
        serve(withoutEncoder());
        Prefix prefix = prefixes.acquire(task(Optional.of(zeros())), CompletableFuture::join);
        assertEquals(TOKENS, prefix.tokens());
        assertEquals(0, count("encoded"));
        assertEquals(1, count("ready"));
    }

    @Test
    void aKvPromptNeedsNoEncoder() throws Exception {
        serve(withoutEncoder());
        Prefix prefix = prefixes.acquire(kv("kv", TOKENS), CompletableFuture::join);
        assertEquals(TOKENS, prefix.tokens());
        assertEquals(0, count("encoded"));
        assertEquals(1, count("ready"));
        prefix.release();
    }

    /** The cache evicts it at once, but the callers for whom it was loaded use it before it is freed. */
    @Test
    void aPrefixThatIsLargerThanTheCacheServesItsCallersAndIsFreed() throws Exception {
        serve(bundle, bytes(TOKENS) - 1);
        for (int call = 0; call < 3; call++) {
            Prefix prefix = prefixes.acquire(kv("kv", TOKENS), CompletableFuture::join);
            assertEquals(1, model.forward(List.of(new Model.Sequence(new long[] {7}, prefix)), true).length);
            assertEquals(0, metrics.get("softcall.prefix.cached").gauge().value());
            prefix.release();
            assertFalse(prefix.retain());
        }
        assertEquals(3, count("ready"));
    }

    @Test
    void manyCallersOfALargePrefixAreAllServed() throws Exception {
        serve(bundle, bytes(TOKENS) - 1);
        try (ExecutorService callers = Executors.newFixedThreadPool(16)) {
            List<Future<?>> calls = new ArrayList<>();
            for (int i = 0; i < 400; i++) {
                StoredTask task = kv("kv-" + i % 3, TOKENS);
                calls.add(callers.submit(() -> {
                    Prefix prefix = prefixes.acquire(task, CompletableFuture::join);
                    assertTrue(prefix.retain());
                    prefix.release();
                    prefix.release();
                }));
            }
            for (Future<?> call : calls) {
                call.get(60, TimeUnit.SECONDS);
            }
        }
    }

    /** The cache has as much as one prefix, and as much again is for others: the third waits until one of the two is freed. */
    @Test
    void memoryForPrefixesIsBoundedAndAwaitedOffTheCallersThread() throws Exception {
        serve(bundle, bytes(TOKENS));
        Prefix first = prefixes.acquire(kv("a", TOKENS), CompletableFuture::join);
        Prefix second = prefixes.acquire(kv("b", TOKENS), CompletableFuture::join);
        List<CompletableFuture<Prefix>> third = new ArrayList<>();
        assertThrows(
                CancellationException.class,
                () -> prefixes.acquire(kv("c", TOKENS), future -> {
                    third.add(future);
                    assertThrows(TimeoutException.class, () -> future.get(100, TimeUnit.MILLISECONDS));
                    throw new CancellationException("the caller gives up");
                }));
        // The cache has kept one of the two, whichever, so the other one is freed now.
        first.release();
        second.release();
        Prefix late = third.getFirst().get(60, TimeUnit.SECONDS);
        // Its caller has gone, so only the cache may have a reference.
        prefixes.forget(kv("c", TOKENS).task());
        for (int wait = 0; wait < 1_000 && late.retain(); wait++) {
            late.release();
            Thread.sleep(1);
        }
        assertFalse(late.retain());
    }

    /** Their callers hold the prompts while they wait for memory, so many large ones would fill the heap. */
    @Test
    void promptsThatWaitForTheirPrefixesAreBounded() throws Exception {
        StoredTask waiting = kv("waits", TOKENS);
        serve(bundle, bytes(TOKENS), waiting.prompt().heapBytes());
        Prefix first = prefixes.acquire(kv("a", TOKENS), CompletableFuture::join);
        Prefix second = prefixes.acquire(kv("b", TOKENS), CompletableFuture::join);
        try (ExecutorService callers = Executors.newFixedThreadPool(2)) {
            CompletableFuture<Void> begun = new CompletableFuture<>();
            Future<Prefix> alone = callers.submit(() -> prefixes.acquire(waiting, future -> {
                begun.complete(null);
                return future.join();
            }));
            begun.get(60, TimeUnit.SECONDS);
            SoftcallException e = assertThrows(
                    SoftcallException.class, () -> prefixes.acquire(kv("c", TOKENS), CompletableFuture::join));
            assertEquals(Reason.OVERLOADED, e.reason());
            // A job bounds its prompts itself.
            Future<Prefix> job =
                    callers.submit(() -> prefixes.acquireBounded(kv("d", TOKENS), CompletableFuture::join));
            first.release();
            second.release();
            alone.get(60, TimeUnit.SECONDS).release();
            job.get(60, TimeUnit.SECONDS).release();
        }
        prefixes.acquire(kv("c", TOKENS), CompletableFuture::join).release();
    }

    /** A task that is overwritten all the time has one prefix in the cache, not one per version. */
    @Test
    void aVersionThatWasReplacedGivesUpItsPlace() throws Exception {
        serve(bundle);
        Prefix held = prefixes.acquire(task(Optional.empty()), CompletableFuture::join);
        assertEquals(1, metrics.get("softcall.prefix.cached").gauge().value());
        prefixes.forget(task(Optional.empty()).task());
        assertEquals(0, metrics.get("softcall.prefix.cached").gauge().value());
        assertTrue(held.retain(), "whoever runs behind it still can");
        held.release();
        held.release();
        assertFalse(held.retain());
        prefixes.acquire(task(Optional.empty()), CompletableFuture::join).release();
        assertEquals(2, count("encoded"));
    }

    private double count(String what) {
        return metrics.counter("softcall.prefix." + what).count();
    }

    private Bundle withoutEncoder() {
        return new Bundle(
                bundle.name(),
                bundle.architecture(),
                bundle.fingerprint(),
                bundle.hiddenSize(),
                bundle.layers(),
                bundle.kvHeads(),
                bundle.headDim(),
                bundle.vocabulary(),
                bundle.maxPositions(),
                bundle.eosTokenIds(),
                bundle.chatTemplate(),
                bundle.served(),
                Optional.empty(),
                bundle.tokenizer());
    }

    private long bytes(int tokens) {
        return 2L * bundle.layers() * bundle.kvHeads() * bundle.headDim() * tokens * Float.BYTES;
    }

    private ReadyPrefix zeros() {
        return zeros(TOKENS);
    }

    private ReadyPrefix zeros(int tokens) {
        return new ReadyPrefix(tokens, new StoredFloats.F16(new short[(int) bytes(tokens) / Float.BYTES]));
    }

    private StoredTask kv(String name, int tokens) throws Exception {
        return task(name, "1", new KvPrompt(zeros(tokens)));
    }

    private StoredTask task(Optional<ReadyPrefix> ready) throws Exception {
        float[] zeros = new float[TOKENS * bundle.hiddenSize()];
        return task("task", "1", new SoftPrompt(TOKENS, bundle.hiddenSize(), zeros, ready));
    }

    /** Returns a version of a task with this prompt. */
    static StoredTask task(String name, String version, Prompt prompt) throws Exception {
        Task task = new Task(
                new TaskName(name),
                version,
                Optional.empty(),
                prompt.tokens(),
                new Kind.OneLabel(
                        new Template("{text}"),
                        new LabelHead(List.of("a", "b"), new float[2 * HIDDEN], new float[2]),
                        1,
                        OptionalDouble.empty()),
                Optional.empty(),
                "{}",
                1);
        return new StoredTask(task, prompt);
    }
}
