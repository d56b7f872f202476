package io.softcall.inference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.softcall.ConfigMappings;
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
import io.softcall.task.SoftPrompt;
import io.softcall.task.StoredTask;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/**
 * Prefixes are evicted from the cache while batches use them. Memory that is freed too early would crash the process, or
 * contain another prompt's keys and values. Memory that is never freed would add up.
 */
class PrefixEvictionTest {

    private static final int TASKS = 16;
    private static final int VERSIONS = 3;
    private static final int TOKENS = 4;
    private static final int THREADS = 12;
    private static final int CALLS_OF_EACH = 150;
    private static final long[] IDS = {7, 8, 9};

    private static final SessionResources RESOURCES = new SessionResources(1, 0, true);

    private final Bundle bundle = Bundle.open(Tiny.BASE, "fp32");
    private final SimpleMeterRegistry metrics = new SimpleMeterRegistry();

    @Test
    void rowsRunBehindTheirOwnPromptWhateverLeavesTheCache() throws Exception {
        OnnxModel model = new OnnxModel(
                bundle,
                PartitionedTrunk.single(PackedWeights.of(bundle.served(), Optional.of(Tiny.PACKED))
                        .open(bundle, RESOURCES)),
                Device.CPU,
                new LayerPrefixes(bundle, Tiny.CACHE_BYTES),
                RESOURCES,
                Duration.ofSeconds(1));
        float[][][] expected = new float[TASKS][VERSIONS][];
        long bytes = 0;
        for (int task = 0; task < TASKS; task++) {
            for (int version = 0; version < VERSIONS; version++) {
                Prefix prefix = model.encode((SoftPrompt) task(task, version).prompt());
                expected[task][version] = run(model, prefix);
                bytes = prefix.bytes();
                prefix.release();
            }
        }
        Prefixes prefixes = new Prefixes(model, config(bytes * TASKS / 2), metrics, Long.MAX_VALUE);
        Queue<Prefix> seen = new ConcurrentLinkedQueue<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(THREADS)) {
            List<Future<?>> callers = new ArrayList<>();
            for (int i = 0; i < THREADS; i++) {
                SplittableRandom random = new SplittableRandom(i);
                callers.add(threads.submit(() -> {
                    for (int call = 0; call < CALLS_OF_EACH; call++) {
                        int task = random.nextInt(TASKS);
                        int version = random.nextInt(VERSIONS);
                        Prefix prefix = prefixes.acquire(task(task, version), CompletableFuture::join);
                        seen.add(prefix);
                        if (random.nextInt(4) == 0) {
                            prefixes.forget(task(task, version).task());
                        }
                        float[] hidden = run(model, prefix);
                        prefix.release();
                        assertArrayEquals(expected[task][version], hidden);
                    }
                    return null;
                }));
            }
            for (Future<?> caller : callers) {
                caller.get();
            }
        }
        double cached = metrics.get("softcall.prefix.cached.bytes").gauge().value();
        assertTrue(cached <= bytes * TASKS / 2.0, () -> cached + " bytes in the cache");
        assertTrue(metrics.counter("softcall.prefix.encoded").count() > TASKS * VERSIONS, "nothing had to leave");
        prefixes.close();
        assertEquals(0, seen.stream().filter(Prefix::retain).count(), "prefixes that were not given back");
        model.close();
    }

    private static float[] run(OnnxModel model, Prefix prefix) {
        return model.forward(List.of(new Model.Sequence(IDS, prefix)), true)[0];
    }

    private StoredTask task(int number, int version) throws Exception {
        float[] values = new float[TOKENS * bundle.hiddenSize()];
        Arrays.fill(values, (number * VERSIONS + version + 1) / 100f);
        return PrefixesTest.task(
                "task-" + number,
                Integer.toString(version),
                new SoftPrompt(TOKENS, bundle.hiddenSize(), values, Optional.empty()));
    }

    private static InferenceConfig config(long cacheBytes) {
        return ConfigMappings.of(
                InferenceConfig.class, Map.of("softcall.prefix.cache-bytes", Long.toString(cacheBytes)));
    }
}
