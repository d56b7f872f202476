package io.softcall.inference.onnx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.Tiny;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Decoding;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.prefix.LayerPrefixes;
import io.softcall.inference.onnx.session.SessionResources;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Sequences that are decoded side by side, against the trunk, which computes each of them as a whole. */
class DecodingTest {

    private static final SessionResources RESOURCES = new SessionResources(1, 0, true);
    private static final float TOLERANCE = 1e-4f;
    private static final int PLACES = 4;
    private static final int POSITIONS = 64;

    private final Bundle bundle = Bundle.open(Tiny.BASE, "fp32");
    private final Random random = new Random(1);
    private OnnxModel model;
    private Decoding decoding;
    private Prefix none;

    @BeforeEach
    void open() {
        model = open(bundle, PackedWeights.of(bundle.served(), Optional.of(Tiny.PACKED)));
        decoding = model.decoding(PLACES, POSITIONS);
        none = model.none();
    }

    private static OnnxModel open(Bundle bundle, PackedWeights packed) {
        return new OnnxModel(
                bundle,
                PartitionedTrunk.single(packed.open(bundle, RESOURCES)),
                Device.CPU,
                new LayerPrefixes(bundle, Tiny.CACHE_BYTES),
                RESOURCES,
                Duration.ofSeconds(1),
                Optional.of(() -> Decoder.open(bundle, packed, RESOURCES)));
    }

    @AfterEach
    void close() {
        none.release();
        decoding.close();
        model.close();
    }

    @Test
    void sequencesOfAnyLengthsShareAStep() {
        List<long[]> texts = List.of(text(5), text(17), text(1), text(9));
        for (int place = 0; place < PLACES; place++) {
            put(place, texts.get(place));
        }
        for (int step = 0; step < 8; step++) {
            texts = appended(texts, text(texts.size()));
            assertLogits(texts, step(texts));
        }
    }

    @Test
    void aSequenceMovesPausesAndGoesOn() {
        List<long[]> texts = List.of(text(4), text(12), text(7));
        for (int place = 0; place < texts.size(); place++) {
            put(place, texts.get(place));
        }
        texts = appended(texts, text(3));
        step(texts);
        Prefix paused = decoding.copy(0, texts.get(0).length);
        decoding.move(2, 0, texts.get(2).length);
        decoding.clear(2);
        texts = appended(List.of(texts.get(2), texts.get(1), texts.get(0)), text(3));
        List<long[]> two = texts.subList(0, 2);
        assertLogits(two, step(two));
        decoding.put(2, paused);
        paused.release();
        List<long[]> three = new ArrayList<>(appended(two, text(2)));
        three.add(texts.get(2));
        assertLogits(three, step(three));
    }

    /** A place that was given back holds nothing of the sequence before. */
    @Test
    void aClearedPlaceIsLikeANewOne() {
        put(0, text(40));
        decoding.clear(0);
        List<long[]> texts = appended(List.of(text(3)), text(1));
        put(0, Arrays.copyOf(texts.getFirst(), 3));
        assertLogits(texts, step(texts));
    }

    @Test
    void aBatchKeepsTheKeysAndValuesOfItsSequences() {
        List<long[]> texts = List.of(text(3), text(8), text(5));
        List<Prefix> kept = new ArrayList<>();
        List<Model.Sequence> batch = texts.stream()
                .map(ids -> new Model.Sequence(ids, none, Optional.of(kept::add)))
                .toList();
        float[][] hidden = model.forward(batch, true);
        for (int row = 0; row < texts.size(); row++) {
            assertArrayEquals(hidden(texts.get(row)), hidden[row], TOLERANCE);
            assertEquals(texts.get(row).length, kept.get(row).tokens());
            long[] more = text(4);
            assertArrayEquals(
                    hidden(concat(texts.get(row), more)),
                    model.forward(List.of(new Model.Sequence(more, kept.get(row))), true)[0],
                    TOLERANCE);
            kept.get(row).release();
        }
    }

    /** Without saved packed weights, decoding packs its own. */
    @Test
    void weightsThatAreNotSavedArePackedAgain() {
        try (OnnxModel own = open(bundle, new PackedWeights(bundle.served(), Optional.empty()));
                Decoding places = own.decoding(1, POSITIONS)) {
            float[] row = hidden(text(3));
            assertArrayEquals(
                    Arrays.copyOf(decoding.logits(List.of(row)), bundle.vocabulary()),
                    places.logits(List.of(row)),
                    TOLERANCE);
        }
    }

    @Test
    void damagedWeightsOfTheHeadAreNoticed(@TempDir Path folder) throws Exception {
        try (Stream<Path> files = Files.walk(Tiny.BASE)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Path copy = folder.resolve(Tiny.BASE.relativize(file));
                Files.createDirectories(copy.getParent());
                Files.copy(file, copy);
            }
        }
        Bundle damaged = Bundle.open(folder, "fp32");
        try (OnnxModel whole = open(damaged, new PackedWeights(damaged.served(), Optional.empty()))) {
            Path weights = folder.resolve("fp32/trunk.onnx.data");
            try (RandomAccessFile file = new RandomAccessFile(weights.toFile(), "rw")) {
                file.write(new byte[(int) Math.min(file.length(), 1 << 16)]);
            }
            SoftcallException e = assertThrows(SoftcallException.class, () -> whole.decoding(1, POSITIONS));
            assertEquals(Reason.BASE_UNAVAILABLE, e.reason());
            assertTrue(e.getMessage().contains("the weights are damaged"), e::getMessage);
        }
    }

    private void put(int place, long[] ids) {
        model.forward(
                List.of(new Model.Sequence(ids, none, Optional.of(past -> {
                    decoding.put(place, past);
                    past.release();
                }))),
                true);
    }

    /** Computes the last token of each text in its place. */
    private float[] step(List<long[]> texts) {
        return decoding.step(
                texts.stream().mapToLong(ids -> ids[ids.length - 1]).toArray(),
                texts.stream().mapToInt(ids -> ids.length - 1).toArray());
    }

    private void assertLogits(List<long[]> texts, float[] logits) {
        float[] found = logits.clone();
        for (int row = 0; row < texts.size(); row++) {
            float[] wanted = Arrays.copyOf(decoding.logits(List.of(hidden(texts.get(row)))), bundle.vocabulary());
            assertArrayEquals(
                    wanted,
                    Arrays.copyOfRange(found, row * bundle.vocabulary(), (row + 1) * bundle.vocabulary()),
                    TOLERANCE);
        }
    }

    private float[] hidden(long[] ids) {
        return model.forward(List.of(new Model.Sequence(ids, none)), true)[0];
    }

    private long[] text(int tokens) {
        return random.longs(tokens, 0, bundle.vocabulary()).toArray();
    }

    private static List<long[]> appended(List<long[]> texts, long[] next) {
        List<long[]> longer = new ArrayList<>();
        for (int i = 0; i < texts.size(); i++) {
            longer.add(concat(texts.get(i), next[i]));
        }
        return longer;
    }

    private static long[] concat(long[] ids, long... more) {
        long[] all = Arrays.copyOf(ids, ids.length + more.length);
        System.arraycopy(more, 0, all, ids.length, more.length);
        return all;
    }
}
