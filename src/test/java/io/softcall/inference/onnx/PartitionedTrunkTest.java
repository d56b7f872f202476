package io.softcall.inference.onnx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.Tiny;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.prefix.LayerPrefixes;
import io.softcall.inference.onnx.session.SessionResources;
import io.softcall.task.SoftPrompt;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One trunk for batches on all cores, and another one for concurrent batches that share them. */
class PartitionedTrunkTest {

    private static final SessionResources ALL = new SessionResources(2, 20, true);
    private static final SessionResources PART = new SessionResources(1, 20, true);

    private final Bundle bundle = Bundle.open(Tiny.BASE, "fp32");

    @TempDir
    Path cache;

    @Test
    void rowsAreTheSameOnAllCoresAndOnSome() throws Exception {
        PackedWeights weights = PackedWeights.of(bundle.served(), Optional.of(cache));
        PartitionedTrunk trunk = PartitionedTrunk.of(weights.open(bundle, ALL), () -> weights.openSaved(bundle, PART));
        try (OnnxModel model = model(trunk)) {
            Prefix prefix = model.encode(prompt());
            List<Model.Sequence> batch = LongStream.range(0, 5)
                    .mapToObj(i -> new Model.Sequence(new long[] {7 + i, 8, 9 + i}, prefix))
                    .toList();
            float[][] whole = model.forward(batch, true);
            for (int i = 0; i < whole.length; i++) {
                assertArrayEquals(model.forward(List.of(batch.get(i)), true)[0], whole[i], 1e-5f);
            }
            assertFalse(trunk.isOpen());
            assertArrayEquals(whole, model.forward(batch, false));
            for (int wait = 0; wait < 1_000 && !trunk.isOpen(); wait++) {
                Thread.sleep(10);
            }
            assertTrue(trunk.isOpen());
            assertArrayEquals(whole, model.forward(batch, false));
            assertArrayEquals(whole, model.forward(batch, true));
            prefix.release();
        }
    }

    /** A second packed copy would take as much memory again. */
    @Test
    void weightsThatAreNotSavedAreNotPackedTwice() {
        PackedWeights weights = new PackedWeights(bundle.served(), Optional.empty());
        PartitionedTrunk trunk = PartitionedTrunk.of(weights.open(bundle, ALL), () -> weights.openSaved(bundle, PART));
        try (OnnxModel model = model(trunk)) {
            Prefix prefix = model.encode(prompt());
            List<Model.Sequence> batch = List.of(new Model.Sequence(new long[] {7, 8, 9}, prefix));
            float[][] whole = model.forward(batch, true);
            assertArrayEquals(whole, model.forward(batch, false));
            assertArrayEquals(whole, model.forward(batch, false));
            assertFalse(trunk.isOpen());
            prefix.release();
        }
    }

    private OnnxModel model(PartitionedTrunk trunk) {
        return new OnnxModel(
                bundle, trunk, Device.CPU, new LayerPrefixes(bundle, Tiny.CACHE_BYTES), ALL, Duration.ofSeconds(1));
    }

    private SoftPrompt prompt() {
        return new SoftPrompt(4, bundle.hiddenSize(), new float[4 * bundle.hiddenSize()], Optional.empty());
    }
}
