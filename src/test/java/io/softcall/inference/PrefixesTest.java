package io.softcall.inference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.softcall.ConfigMappings;
import io.softcall.Tiny;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.LayerPrefixes;
import io.softcall.inference.onnx.OnnxModel;
import io.softcall.inference.onnx.PackedWeights;
import io.softcall.inference.onnx.PartitionedTrunk;
import io.softcall.inference.onnx.SessionResources;
import io.softcall.task.Kind;
import io.softcall.task.LabelHead;
import io.softcall.task.Prompt;
import io.softcall.task.ReadyPrefix;
import io.softcall.task.SoftPrompt;
import io.softcall.task.StoredFloats;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import io.softcall.task.Template;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Prefixes are loaded or computed. */
class PrefixesTest {

    private static final int TOKENS = 4;
    private static final int HIDDEN = 64;

    private final InferenceConfig config = ConfigMappings.of(InferenceConfig.class, Map.of());
    private static final SessionResources MEANS = new SessionResources(1, 0, true);

    private final Bundle bundle = Bundle.open(Tiny.BASE, "fp32");
    private final SimpleMeterRegistry metrics = new SimpleMeterRegistry();
    private Prefixes prefixes;

    private void serve(Bundle served) {
        prefixes = new Prefixes(
                new OnnxModel(
                        served,
                        PartitionedTrunk.single(PackedWeights.of(served.served(), Optional.of(Tiny.PACKED))
                                .open(served, MEANS)),
                        Device.CPU,
                        new LayerPrefixes(served, Tiny.CACHE_BYTES),
                        MEANS,
                        Duration.ofSeconds(1)),
                config,
                metrics);
    }

    @AfterEach
    void close() {
        prefixes.close();
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

    /** A task that is overwritten all the time has one prefix in the cache, not one per version. */
    @Test
    void aVersionThatWasReplacedGivesUpItsPlace() throws Exception {
        serve(bundle);
        Prefix held = prefixes.acquire(task(Optional.empty()), CompletableFuture::join);
        assertEquals(1, metrics.get("softcall.prefix.cached").gauge().value());
        prefixes.forget(task(Optional.empty()));
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
                bundle.maxPositions(),
                bundle.served(),
                Optional.empty(),
                bundle.tokenizer());
    }

    private ReadyPrefix zeros() throws Exception {
        int elements = 2 * bundle.layers() * bundle.kvHeads() * TOKENS * bundle.headDim();
        return new ReadyPrefix(TOKENS, new StoredFloats.F16(new short[elements]));
    }

    private Task task(Optional<ReadyPrefix> ready) throws Exception {
        float[] zeros = new float[TOKENS * bundle.hiddenSize()];
        return task("task", "1", new SoftPrompt(TOKENS, bundle.hiddenSize(), zeros, ready));
    }

    /** Returns a version of a task with this prompt. */
    static Task task(String name, String version, Prompt prompt) throws Exception {
        return new Task(
                new TaskName(name),
                version,
                Optional.empty(),
                prompt,
                new LabelHead(List.of("a", "b"), new float[2 * HIDDEN], new float[2]),
                new Template("{text}"),
                new Kind.OneLabel(OptionalDouble.empty()),
                1,
                Optional.empty(),
                "{}",
                1);
    }
}
