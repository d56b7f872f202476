package io.softcall.inference.onnx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnxruntime.OnnxTensor;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.Tiny;
import io.softcall.inference.cuda.DeviceTensor;
import io.softcall.inference.memory.HostMemory;
import io.softcall.inference.memory.PageMemory;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.prefix.LayerPrefixes;
import io.softcall.inference.onnx.prefix.PagedPrefixes;
import io.softcall.inference.onnx.session.SessionResources;
import io.softcall.task.KvPrompt;
import io.softcall.task.PrefixLayout;
import io.softcall.task.Prompt;
import io.softcall.task.Requirements;
import io.softcall.task.SoftPrompt;
import io.softcall.task.TaskName;
import io.softcall.task.artifact.ArtifactReader;
import io.softcall.task.artifact.Signers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Prefixes in a table of pages. Everything except CUDA itself is tested here: the fp16 graph, the pages, the tensor over
 * foreign memory, and the padded sizes. Expected rows come from full precision.
 */
class PagedPrefixesTest {

    private static final SessionResources RESOURCES = new SessionResources(1, 0, true);
    /** The tolerance. Half precision has 11 bits; hidden rows of the tiny base are at most about 3. */
    private static final float HALF = 2e-2f;

    private final Bundle half = Bundle.open(Tiny.BASE, "fp16");
    private final Bundle full = Bundle.open(Tiny.BASE, "fp32");
    private final long pageBytes = 4L * half.layers() * half.kvHeads() * half.headDim();
    private final Random random = new Random(5);
    private final OnnxModel expected = new OnnxModel(
            full,
            PartitionedTrunk.single(Trunk.packed(full, full.served(), RESOURCES)),
            Device.CPU,
            new LayerPrefixes(full, Tiny.CACHE_BYTES),
            RESOURCES,
            Duration.ofSeconds(1));

    @AfterEach
    void close() {
        expected.close();
    }

    @Test
    void rowsOfSeveralTasksShareARun() {
        assertRowsShareARun(HostMemory::new, Device.CPU);
    }

    @Test
    void paddedRowsAndTokensChangeNothing() {
        assertRowsShareARun(HostMemory::new, Device.CUDA);
    }

    @Test
    void theTableMayBeATensorThatTheCApiMade() {
        assertRowsShareARun(Lent::new, Device.CUDA);
    }

    private void assertRowsShareARun(PageMemory.Source memory, Device device) {
        try (OnnxModel model = open(20 * pageBytes, memory, device)) {
            List<SoftPrompt> prompts = List.of(prompt(4), prompt(4), prompt(4));
            List<Prefix> fullPrefixes = prompts.stream().map(expected::encode).toList();
            List<Prefix> paged =
                    new ArrayList<>(prompts.stream().map(model::encode).toList());
            // Another prompt takes the released pages, so the next prefix has pages that are not adjacent.
            paged.get(1).release();
            Prefix between = model.encode(prompt(2));
            paged.set(1, model.encode(prompts.get(1)));
            List<Model.Sequence> rows = new ArrayList<>();
            List<Model.Sequence> same = new ArrayList<>();
            for (int row = 0; row < 11; row++) {
                long[] ids = random.longs(1 + row, 0, 300).toArray();
                rows.add(new Model.Sequence(ids, paged.get(row % 3)));
                same.add(new Model.Sequence(ids, fullPrefixes.get(row % 3)));
            }
            float[][] found = model.forward(rows, true);
            float[][] wanted = expected.forward(same, true);
            assertEquals(rows.size(), found.length);
            for (int row = 0; row < found.length; row++) {
                assertArrayEquals(wanted[row], found[row], HALF, "row " + row);
            }
            between.release();
            paged.forEach(Prefix::release);
            fullPrefixes.forEach(Prefix::release);
        }
    }

    @Test
    void pagesAreGivenBackWithTheLastReferenceAndAwaitedWhenThereAreNone() throws Exception {
        Trunk trunk = trunk();
        PagedPrefixes pages = new PagedPrefixes(half, trunk.keyOrder(), 8 * pageBytes, 1, HostMemory::new);
        try (OnnxModel model = open(trunk, pages, Device.CPU)) {
            Prefix first = model.encode(prompt(4));
            assertEquals(4 * pageBytes, first.bytes());
            Prefix second = model.encode(prompt(5)); // an eighth more than the cache holds
            assertEquals(9, pages.taken());
            CompletableFuture<Prefix> third = CompletableFuture.supplyAsync(() -> model.encode(prompt(3)));
            assertThrows(TimeoutException.class, () -> third.get(100, TimeUnit.MILLISECONDS));
            first.release();
            third.get(60, TimeUnit.SECONDS).release();
            second.release();
            assertEquals(0, pages.taken());
            SoftcallException none = assertThrows(SoftcallException.class, () -> model.encode(prompt(10)));
            assertEquals(Reason.OUT_OF_MEMORY, none.reason());
            assertTrue(none.getMessage().contains("10 tokens is longer than the 9"), none::getMessage);
        }
    }

    /** A prefix that evicts others needs its pages before they are evicted. */
    @Test
    void theLongestPrefixFindsPagesWhenTheCacheIsFull() {
        Trunk trunk = trunk();
        PagedPrefixes pages = new PagedPrefixes(half, trunk.keyOrder(), 8 * pageBytes, 6, HostMemory::new);
        try (OnnxModel model = open(trunk, pages, Device.CPU)) {
            Prefix cached = model.encode(prompt(8));
            model.encode(prompt(6)).release();
            cached.release();
        }
    }

    /** Keys of a KV prompt have the order of full precision, like those of a ready prefix, and are reordered in the pages. */
    @Test
    void aKvPromptGivesPeftsRowsFromPages() throws Exception {
        PrefixLayout layout = new PrefixLayout("fp16", "", true, half.layers(), half.kvHeads(), half.headDim());
        Requirements requirements = new Requirements(
                half.name(), Set.of(Tiny.fingerprint()), half.hiddenSize(), half.maxPositions(), 128, layout, false);
        ArtifactReader reader = new ArtifactReader(requirements, new Signers(List.of()));
        try (OnnxModel model = open(20 * pageBytes, HostMemory::new, Device.CUDA)) {
            for (String task : List.of("kv", "acme/kv-long", "topics")) {
                Prompt prompt = reader.read(new TaskName(task), "1", Tiny.artifact(task))
                        .prompt();
                Prefix prefix = model.load(((KvPrompt) prompt).prefix());
                for (Tiny.Row row : Tiny.golden(task)) {
                    float[][] found = model.forward(List.of(new Model.Sequence(row.ids(), prefix)), true);
                    assertArrayEquals(row.hidden(), found[0], HALF, task);
                }
                prefix.release();
            }
        }
    }

    @Test
    void shapesOfShortTextsAreRunAtTheStart() {
        try (OnnxModel model = open(20 * pageBytes, HostMemory::new, Device.CUDA)) {
            model.warmUp(new Device.Batching(64, 0, 1_024, 1, 1));
        }
    }

    private OnnxModel open(long cacheBytes, PageMemory.Source memory, Device device) {
        Trunk trunk = trunk();
        return open(trunk, new PagedPrefixes(half, trunk.keyOrder(), cacheBytes, 1, memory), device);
    }

    private Trunk trunk() {
        return Trunk.packed(half, half.served(), RESOURCES).checked();
    }

    private OnnxModel open(Trunk trunk, PagedPrefixes pages, Device device) {
        return new OnnxModel(half, PartitionedTrunk.single(trunk), device, pages, RESOURCES, Duration.ofSeconds(1));
    }

    private SoftPrompt prompt(int tokens) {
        float[] values = new float[tokens * half.hiddenSize()];
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextFloat() - .5f;
        }
        return new SoftPrompt(tokens, half.hiddenSize(), values, Optional.empty());
    }

    /** Host memory that is passed to ONNX Runtime in the way of a GPU's memory. */
    private static final class Lent implements PageMemory {

        private final Arena arena = Arena.ofShared();
        private final MemorySegment memory;
        private final OnnxTensor tensor;

        Lent(long... shape) {
            long bytes = PageMemory.bytes(shape);
            memory = arena.allocate(bytes, 64);
            tensor = DeviceTensor.of("Cpu", 0, memory, bytes, shape);
        }

        @Override
        public OnnxTensor tensor() {
            return tensor;
        }

        @Override
        public void write(long offset, MemorySegment from) {
            MemorySegment.copy(from, 0, memory, offset, from.byteSize());
        }

        @Override
        public void close() {
            tensor.close();
            arena.close();
        }
    }
}
