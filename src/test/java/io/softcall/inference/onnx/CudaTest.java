package io.softcall.inference.onnx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.quarkus.runtime.configuration.MemorySize;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.Tiny;
import io.softcall.inference.cuda.Cuda;
import io.softcall.inference.memory.PageMemory;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.prefix.LayerPrefixes;
import io.softcall.inference.onnx.prefix.PagedPrefixes;
import io.softcall.inference.onnx.prefix.PrefixForm;
import io.softcall.inference.onnx.session.SessionResources;
import io.softcall.task.SoftPrompt;
import java.math.BigInteger;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Tests on a GPU. They are skipped, with the reason, if there is none or the build has no CUDA. Expected rows come from the
 * processor.
 */
class CudaTest {

    private static final SessionResources RESOURCES = new SessionResources(1, 0, true);
    private static final long CACHE_BYTES = 1_000_000;

    private final Random random = new Random(7);
    private final Bundle full = Bundle.open(Tiny.BASE, "fp32");
    private final Bundle half = Bundle.open(Tiny.BASE, "fp16");
    private Cuda cuda;

    /** The first GPU, with a bound on memory for weights and forward passes. */
    private record Gpu(MemorySize memoryLimit) implements InferenceConfig.Cuda {

        static Gpu withMemory(long bytes) {
            return new Gpu(new MemorySize(BigInteger.valueOf(bytes)));
        }

        @Override
        public int device() {
            return 0;
        }

        @Override
        public boolean tf32() {
            return false;
        }

        @Override
        public Attention attention() {
            return Attention.EFFICIENT;
        }
    }

    @BeforeEach
    void find() {
        try {
            cuda = Cuda.open(Gpu.withMemory(1 << 30));
        } catch (IllegalStateException e) {
            Assumptions.abort("no GPU: " + e.getMessage());
        }
    }

    @Test
    void rowsOfSeveralTasksShareARunInHalfPrecision() {
        try (OnnxModel model = openHalf(cuda)) {
            assertSameRows(model, 2e-2f);
        }
    }

    @Test
    void fullPrecisionIsTheProcessors() {
        try (OnnxModel model = open(full, Trunk.on(cuda, full, RESOURCES), new LayerPrefixes(full, CACHE_BYTES))) {
            assertSameRows(model, 1e-4f);
        }
    }

    @Test
    void aRunWithoutMemoryIsRefusedAndTheNextOneRuns() {
        Cuda small = Cuda.open(Gpu.withMemory(8 << 20));
        try (OnnxModel model = openHalf(small)) {
            Prefix prefix = model.encode(prompt());
            Model.Sequence row = new Model.Sequence(new long[200], prefix);
            SoftcallException none =
                    assertThrows(SoftcallException.class, () -> model.forward(Collections.nCopies(500, row), true));
            assertEquals(Reason.OUT_OF_MEMORY, none.reason());
            assertEquals(1, model.forward(List.of(new Model.Sequence(new long[3], prefix)), true).length);
            prefix.release();
        }
    }

    @Test
    void theTableTakesMemoryAndGivesItBack() {
        long before = cuda.memory().free();
        PageMemory memory = cuda.allocate(1 << 28);
        assertTrue(before - cuda.memory().free() >= 1L << 29);
        memory.close();
        assertTrue(before - cuda.memory().free() < 1L << 29);
    }

    private void assertSameRows(OnnxModel model, float tolerance) {
        try (OnnxModel expected = new OnnxModel(
                full,
                PartitionedTrunk.single(Trunk.packed(full, full.served(), RESOURCES)),
                Device.CPU,
                new LayerPrefixes(full, CACHE_BYTES),
                RESOURCES,
                Duration.ofSeconds(1))) {
            List<SoftPrompt> prompts = List.of(prompt(), prompt(), prompt());
            List<Prefix> wanted = prompts.stream().map(expected::encode).toList();
            List<Prefix> found = prompts.stream().map(model::encode).toList();
            List<Model.Sequence> there = new ArrayList<>();
            List<Model.Sequence> here = new ArrayList<>();
            for (int row = 0; row < 37; row++) {
                long[] ids = random.longs(1 + row % 9, 0, 300).toArray();
                there.add(new Model.Sequence(ids, found.get(row % 3)));
                here.add(new Model.Sequence(ids, wanted.get(row % 3)));
            }
            float[][] rows = model.forward(there, true);
            float[][] same = expected.forward(here, true);
            for (int row = 0; row < rows.length; row++) {
                assertArrayEquals(same[row], rows[row], tolerance, "row " + row);
            }
            wanted.forEach(Prefix::release);
            found.forEach(Prefix::release);
        }
    }

    private OnnxModel openHalf(Cuda runsIn) {
        Trunk trunk = Trunk.on(runsIn, half, RESOURCES);
        return open(half, trunk, new PagedPrefixes(half, trunk.keyOrder(), CACHE_BYTES, 1, cuda));
    }

    private static OnnxModel open(Bundle bundle, Trunk trunk, PrefixForm form) {
        return new OnnxModel(
                bundle, PartitionedTrunk.single(trunk), Device.CUDA, form, RESOURCES, Duration.ofSeconds(1));
    }

    private SoftPrompt prompt() {
        float[] values = new float[4 * full.hiddenSize()];
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextFloat() - .5f;
        }
        return new SoftPrompt(4, full.hiddenSize(), values, Optional.empty());
    }
}
