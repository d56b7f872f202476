package io.softcall.inference.onnx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.EditedArtifact;
import io.softcall.RealBase;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.Tiny;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.prefix.LayerPrefixes;
import io.softcall.inference.onnx.prefix.OnnxPrefix;
import io.softcall.inference.onnx.session.SessionResources;
import io.softcall.task.KvPrompt;
import io.softcall.task.PrefixLayout;
import io.softcall.task.Prompt;
import io.softcall.task.ReadyPrefix;
import io.softcall.task.RefusedException;
import io.softcall.task.Requirements;
import io.softcall.task.SoftPrompt;
import io.softcall.task.StoredFloats;
import io.softcall.task.TaskName;
import io.softcall.task.artifact.ArtifactReader;
import io.softcall.task.artifact.Signers;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.ShortBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The sources of weights and prefixes. */
class OnnxModelTest {

    private static final SessionResources RESOURCES = new SessionResources(0, 0, true);
    private static final Duration IDLE = Duration.ofMillis(200);
    private static final long[] TEXT = {3, 1, 4, 1, 5};

    @TempDir
    Path cache;

    private final Bundle tiny = Bundle.open(Tiny.BASE, "fp32");

    @Test
    void theFirstOpeningSavesPackedWeightsAndTheNextComputesTheSameFromThem() throws IOException {
        float[] first = run(tiny);
        Path folder = packed();
        assertTrue(Files.size(folder.resolve(PackedWeights.WEIGHTS)) > 0);
        var written = Files.getLastModifiedTime(folder.resolve("trunk.onnx"));
        assertArrayEquals(first, run(tiny), 1e-6f);
        assertEquals(written, Files.getLastModifiedTime(packed().resolve("trunk.onnx")));
    }

    @Test
    void damagedPackedWeightsAreDeletedAndDoneWithout() throws IOException {
        float[] first = run(tiny);
        Path weights = packed().resolve(PackedWeights.WEIGHTS);
        byte[] bytes = Files.readAllBytes(weights);
        new Random(1).nextBytes(bytes);
        Files.write(weights, bytes);
        assertArrayEquals(first, run(tiny), 1e-6f);
        assertTrue(folders().isEmpty());
    }

    @Test
    void aFolderThatCannotBeWrittenIsDoneWithout() throws IOException {
        float[] first = run(tiny);
        Path file = Files.createFile(cache.resolve("file"));
        try (OnnxModel model = open(tiny, file.resolve("folder"))) {
            assertArrayEquals(first, run(model, model.encode(prompt(tiny))), 1e-6f);
        }
    }

    /** Weights that were packed for another variant, runtime or processor must not be mapped. */
    @Test
    void eachVariantHasPackedWeightsOfItsOwn() {
        Optional<Path> here = Optional.of(cache);
        PackedWeights int8 = PackedWeights.of(Bundle.open(RealBase.BASE, "int8").served(), here);
        PackedWeights fp32 = PackedWeights.of(Bundle.open(RealBase.BASE, "fp32").served(), here);
        PackedWeights small = PackedWeights.of(tiny.served(), here);
        assertEquals(3, Set.of(int8.folder(), fp32.folder(), small.folder()).size());
        assertEquals(small.folder(), PackedWeights.of(tiny.served(), here).folder());
    }

    /** Sequences of every length in one batch, behind each task's prompt. */
    @Test
    void hiddenRowsArePeftsInABatch() throws Exception {
        for (String task : Tiny.TASKS) {
            List<Tiny.Row> golden = Tiny.golden(task);
            try (OnnxModel model = open(tiny)) {
                Prefix prefix = prefix(model, task);
                float[][] hidden = model.forward(
                        golden.stream()
                                .map(row -> new Model.Sequence(row.ids(), prefix))
                                .toList(),
                        true);
                prefix.release();
                for (int i = 0; i < golden.size(); i++) {
                    assertArrayEquals(golden.get(i).hidden(), hidden[i], 1e-4f, task + " " + i);
                }
            }
        }
    }

    /** What the graph would compute to something else. */
    @Test
    void sequencesThatDoNotFitAreRefused() {
        try (OnnxModel model = open(tiny)) {
            Prefix prefix = model.encode(prompt(tiny));
            int room = tiny.maxPositions() - prefix.tokens();
            assertEquals(1, model.forward(List.of(new Model.Sequence(new long[room], prefix)), true).length);
            for (long[] ids : List.of(new long[0], new long[room + 1])) {
                assertThrows(
                        IllegalArgumentException.class,
                        () -> model.forward(List.of(new Model.Sequence(ids, prefix)), true));
            }
            prefix.release();
        }
    }

    @Test
    void aReadyPrefixIsTheEncodedOneInHalfPrecision() throws Exception {
        try (OnnxModel model = open(tiny)) {
            OnnxPrefix encoded = (OnnxPrefix) model.encode(prompt(tiny));
            Prefix ready = model.load(half(encoded, tiny));
            assertEquals(encoded.tokens(), ready.tokens());
            assertEquals(encoded.bytes(), ready.bytes());
            assertArrayEquals(run(model, encoded), run(model, ready), 5e-3f);
        }
    }

    /** What the encoder makes of a soft prompt, stored as a KV prompt, is the same prefix again, to the last bit. */
    @Test
    void aKvPromptIsThePrefixThatItIs() throws Exception {
        try (OnnxModel model = open(tiny)) {
            OnnxPrefix encoded = (OnnxPrefix) model.encode(prompt(tiny));
            int tokens = encoded.tokens();
            int heads = 2 * tiny.layers() * tiny.kvHeads();
            float[] rows = new float[tokens * heads * tiny.headDim()];
            for (int head = 0; head < heads; head++) {
                MemorySegment keysOrValues = encoded.memory(head / tiny.kvHeads());
                for (int token = 0; token < tokens; token++) {
                    long from = (long) (head % tiny.kvHeads() * tokens + token) * tiny.headDim() * Float.BYTES;
                    MemorySegment.copy(
                            keysOrValues,
                            ValueLayout.JAVA_FLOAT,
                            from,
                            rows,
                            (token * heads + head) * tiny.headDim(),
                            tiny.headDim());
                }
            }
            KvPrompt prompt = (KvPrompt) prompt(EditedArtifact.of("kv")
                    .floats("prompt_embeddings", rows, tokens, rows.length / tokens)
                    .bytes());
            OnnxPrefix loaded = (OnnxPrefix) model.load(prompt.prefix());
            assertEquals(encoded.bytes(), loaded.bytes());
            for (int i = 0; i < 2 * tiny.layers(); i++) {
                assertEquals(-1, encoded.memory(i).mismatch(loaded.memory(i)));
            }
            encoded.release();
            loaded.release();
        }
    }

    /** A prefix of a petabyte, which no machine has. The memory that was reserved for it is given back. */
    @Test
    void aPrefixWithoutMemoryIsAnErrorOfItsCaller() throws Exception {
        Bundle huge = new Bundle(
                tiny.name(),
                tiny.architecture(),
                tiny.fingerprint(),
                tiny.hiddenSize(),
                1,
                1 << 24,
                1 << 24,
                tiny.vocabulary(),
                tiny.maxPositions(),
                tiny.eosTokenIds(),
                tiny.chatTemplate(),
                tiny.served(),
                tiny.encoder(),
                tiny.tokenizer());
        LayerPrefixes form = new LayerPrefixes(huge, Tiny.CACHE_BYTES);
        for (int i = 0; i < 3; i++) {
            SoftcallException e = assertThrows(SoftcallException.class, () -> form.keep(1, (index, to) -> {}));
            assertEquals(Reason.OUT_OF_MEMORY, e.reason());
            assertTrue(e.getMessage().contains("a prefix of 2,251,799,813,685,248 bytes"), e::getMessage);
        }
    }

    @Test
    void theRealBaseEncodesAtFullPrecisionForInt8() {
        Bundle int8 = Bundle.open(RealBase.BASE, "int8");
        Bundle full = Bundle.open(RealBase.BASE, Bundle.FULL_PRECISION);
        try (OnnxModel model = open(int8);
                Trunk fp32 = Trunk.mapped(full, full.served(), RESOURCES)) {
            OnnxPrefix prefix = (OnnxPrefix) model.encode(prompt(int8));
            OnnxPrefix expected = (OnnxPrefix) fp32.encode(prompt(full), new LayerPrefixes(full, Tiny.CACHE_BYTES));
            for (int i = 0; i < 2 * int8.layers(); i++) {
                assertEquals(-1, expected.memory(i).mismatch(prefix.memory(i)));
            }
            prefix.release();
            expected.release();
        }
    }

    @Test
    void theEncoderIsGivenBackWhenNoPromptCame() throws InterruptedException {
        Encoder encoder = new Encoder(() -> Trunk.mapped(tiny, tiny.served(), RESOURCES), IDLE);
        assertFalse(encoder.isOpen());
        for (int i = 0; i < 2; i++) {
            encoder.encode(prompt(tiny), new LayerPrefixes(tiny, Tiny.CACHE_BYTES))
                    .release();
            assertTrue(encoder.isOpen());
            for (int wait = 0; wait < 100 && encoder.isOpen(); wait++) {
                Thread.sleep(IDLE.toMillis());
            }
            assertFalse(encoder.isOpen());
        }
        encoder.close();
        SoftcallException e = assertThrows(
                SoftcallException.class, () -> encoder.encode(prompt(tiny), new LayerPrefixes(tiny, Tiny.CACHE_BYTES)));
        assertEquals(Reason.STOPPING, e.reason());
    }

    /** Calls that need the damaged trunk get the error at once, until the files are repaired. Other trunks still work. */
    @ParameterizedTest
    @ValueSource(
            strings = {"weights cut", "weights of other values", "no weights", "graph cut", "no graph", "empty weights"
            })
    void aDamagedEncoderIsNamed(String damage) throws IOException {
        Path dir = cache.resolve("base");
        copy(Tiny.BASE, dir);
        Path graph = dir.resolve("fp32/trunk.onnx");
        Path weights = dir.resolve("fp32/trunk.onnx.data");
        byte[] content = Files.readAllBytes(weights);
        switch (damage) {
            case "weights cut" -> Files.write(weights, Arrays.copyOf(content, content.length / 2));
            case "weights of other values" -> Files.write(weights, flipped(content));
            case "no weights" -> Files.delete(weights);
            case "graph cut" -> Files.write(graph, Arrays.copyOf(Files.readAllBytes(graph), 5_000));
            case "no graph" -> Files.delete(graph);
            default -> Files.write(weights, new byte[0]);
        }
        Bundle damaged = Bundle.open(dir, "fp32");
        Encoder encoder = new Encoder(() -> Trunk.mapped(damaged, damaged.served(), RESOURCES), IDLE);
        for (int i = 0; i < 2; i++) {
            SoftcallException e = assertThrows(
                    SoftcallException.class,
                    () -> encoder.encode(prompt(tiny), new LayerPrefixes(tiny, Tiny.CACHE_BYTES)));
            assertEquals(Reason.BASE_UNAVAILABLE, e.reason());
            assertTrue(e.detail().contains(graph.toString()), e::getMessage);
            assertFalse(encoder.isOpen());
        }
        encoder.close();
    }

    /** Flips the highest bit of some exponents. */
    private static byte[] flipped(byte[] weights) {
        byte[] flipped = weights.clone();
        for (int i = 3; i < flipped.length; i += 4_000) {
            flipped[i] ^= 0x40;
        }
        return flipped;
    }

    private static void copy(Path from, Path to) throws IOException {
        try (Stream<Path> paths = Files.walk(from)) {
            for (Path path : paths.toList()) {
                Files.copy(path, to.resolve(from.relativize(path)));
            }
        }
    }

    private OnnxModel open(Bundle bundle) {
        return open(bundle, cache);
    }

    private OnnxModel open(Bundle bundle, Path packed) {
        Trunk trunk = PackedWeights.of(bundle.served(), Optional.of(packed)).open(bundle, RESOURCES);
        return new OnnxModel(
                bundle,
                PartitionedTrunk.single(trunk),
                Device.CPU,
                new LayerPrefixes(bundle, Tiny.CACHE_BYTES),
                RESOURCES,
                IDLE);
    }

    private float[] run(Bundle bundle) {
        try (OnnxModel model = open(bundle)) {
            return run(model, model.encode(prompt(bundle)));
        }
    }

    private static float[] run(OnnxModel model, Prefix prefix) {
        try {
            return model.forward(List.of(new Model.Sequence(TEXT, prefix)), true)[0];
        } finally {
            prefix.release();
        }
    }

    private static ReadyPrefix half(OnnxPrefix prefix, Bundle bundle) {
        ShortBuffer halves = ShortBuffer.allocate((int) prefix.bytes() / Float.BYTES);
        for (int i = 0; i < 2 * bundle.layers(); i++) {
            var floats = prefix.memory(i)
                    .asByteBuffer()
                    .order(ByteOrder.nativeOrder())
                    .asFloatBuffer();
            while (floats.hasRemaining()) {
                halves.put(Float.floatToFloat16(floats.get()));
            }
        }
        return new ReadyPrefix(prefix.tokens(), new StoredFloats.F16(halves.array()));
    }

    private Prefix prefix(OnnxModel model, String task) throws RefusedException {
        return switch (prompt(task)) {
            case KvPrompt(ReadyPrefix prefix) -> model.load(prefix);
            case SoftPrompt prompt -> model.encode(prompt);
            case Prompt.None none -> model.none();
        };
    }

    private Prompt prompt(String task) throws RefusedException {
        return prompt(Tiny.artifact(task));
    }

    private Prompt prompt(byte[] artifact) throws RefusedException {
        return new ArtifactReader(
                        new Requirements(
                                tiny.name(),
                                Set.of(Tiny.fingerprint()),
                                tiny.hiddenSize(),
                                tiny.maxPositions(),
                                128,
                                new PrefixLayout("fp32", "", true, tiny.layers(), tiny.kvHeads(), tiny.headDim()),
                                true),
                        new Signers(List.of()))
                .read(new TaskName("task"), "1", artifact)
                .prompt();
    }

    private static SoftPrompt prompt(Bundle bundle) {
        float[] values = new float[4 * bundle.hiddenSize()];
        Random random = new Random(4);
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextFloat() - .5f;
        }
        return new SoftPrompt(4, bundle.hiddenSize(), values, Optional.empty());
    }

    private Path packed() throws IOException {
        assertEquals(1, folders().size());
        return folders().getFirst();
    }

    private List<Path> folders() throws IOException {
        try (Stream<Path> paths = Files.list(cache)) {
            return paths.toList();
        }
    }
}
