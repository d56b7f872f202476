package io.softcall.task.artifact;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.EditedArtifact;
import io.softcall.Tiny;
import io.softcall.task.PrefixLayout;
import io.softcall.task.ReadyPrefix;
import io.softcall.task.RefusedException;
import io.softcall.task.Requirements;
import io.softcall.task.SoftPrompt;
import io.softcall.task.StoredTask;
import io.softcall.task.TaskName;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The prefixes of an artifact that are used, ignored or refused. */
class ReadyPrefixTest {

    private static final short ONE = Float.floatToFloat16(1);
    private static final int TOKENS = 8;
    private static final int[] SHAPE = {2, 2, 2, TOKENS, 16};
    private static final String DIGEST = "digest";

    @Test
    void oneThatFitsIsUsed() throws Exception {
        ReadyPrefix prefix = ready(artifact("fp32", DIGEST, "F16", ONE, SHAPE)).orElseThrow();
        assertEquals(2 * 2 * 2 * TOKENS * 16, prefix.values().size());
        assertEquals(1, prefix.values().floats(0, 1)[0]);
        assertEquals(2 * prefix.values().size(), prefix.heapBytes());
    }

    @Test
    void oneOfAnotherVariantOrLayoutIsIgnored() throws Exception {
        assertTrue(ready(Tiny.artifact("sentiment")).isEmpty());
        assertTrue(ready(artifact("int8", DIGEST, "F16", ONE, SHAPE)).isEmpty());
        assertTrue(ready(artifact("fp32", "another", "F16", ONE, SHAPE)).isEmpty());
    }

    @Test
    void aMalformedOneIsRefused() {
        refuses("[2, 2, 2, 7, 16]", artifact("fp32", DIGEST, "F16", ONE, 2, 2, 2, TOKENS - 1, 16));
        refuses("shape [8]", artifact("fp32", DIGEST, "F16", ONE, TOKENS));
        refuses("BF16, expected F16", artifact("fp32", DIGEST, "BF16", ONE, SHAPE));
        refuses("NaN at element 0", artifact("fp32", DIGEST, "F16", Float.floatToFloat16(Float.NaN), SHAPE));
        refuses("Infinity", artifact("fp32", DIGEST, "F16", Float.floatToFloat16(1e9f), SHAPE));
    }

    @Test
    void withoutFullPrecisionOneIsDemanded() throws Exception {
        assertTrue(ready(artifact("fp32", DIGEST, "F16", ONE, SHAPE), false).isPresent());
        RefusedException e = assertThrows(RefusedException.class, () -> read(Tiny.artifact("sentiment"), false));
        assertTrue(e.getMessage().contains("`softcall push --prefix fp32`"), e::getMessage);
    }

    private static void refuses(String message, byte[] artifact) {
        RefusedException e = assertThrows(RefusedException.class, () -> read(artifact));
        assertTrue(e.getMessage().contains(message), e::getMessage);
    }

    private static Optional<ReadyPrefix> ready(byte[] artifact) throws Exception {
        return ready(artifact, true);
    }

    private static Optional<ReadyPrefix> ready(byte[] artifact, boolean encodes) throws Exception {
        return ((SoftPrompt) read(artifact, encodes).prompt()).ready();
    }

    private static StoredTask read(byte[] artifact) throws Exception {
        return read(artifact, true);
    }

    /** @param encodes whether the base has a full-precision trunk */
    private static StoredTask read(byte[] artifact, boolean encodes) throws Exception {
        PrefixLayout layout = new PrefixLayout("fp32", DIGEST, true, 2, 2, 16);
        return new ArtifactReader(
                        new Requirements("tiny-llama", Set.of(Tiny.fingerprint()), 64, 1_024, 128, layout, encodes),
                        new Signers(List.of()))
                .read(new TaskName("sentiment"), "1", artifact);
    }

    /** Returns the sentiment task with one more tensor, whose elements all are {@code value}. */
    private static byte[] artifact(String variant, String digest, String dtype, short value, int... shape) {
        return EditedArtifact.of("sentiment")
                .metadata(softcall -> softcall.putObject("prefix_layouts").put(variant, digest))
                .tensor("prefix." + variant, dtype, value, shape)
                .bytes();
    }
}
