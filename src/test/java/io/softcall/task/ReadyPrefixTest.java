package io.softcall.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.softcall.Tiny;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Which prefixes of an artifact are used, ignored and refused. */
class ReadyPrefixTest {

    private static final JsonMapper JSON = new JsonMapper();
    private static final short ONE = Float.floatToFloat16(1);
    private static final int TOKENS = 8;
    private static final int[] SHAPE = {2, 2, 2, TOKENS, 16};
    private static final String DIGEST = "digest";

    @Test
    void oneThatFitsIsUsed() throws Exception {
        ReadyPrefix prefix =
                read(artifact("fp32", DIGEST, "F16", ONE, SHAPE)).readyPrefix().orElseThrow();
        assertEquals(2 * 2 * 2 * TOKENS * 16, prefix.size());
        assertEquals(1, prefix.floats(0, 1)[0]);
    }

    @Test
    void oneOfAnotherVariantOrLayoutIsIgnored() throws Exception {
        assertTrue(read(Tiny.artifact("sentiment")).readyPrefix().isEmpty());
        assertTrue(
                read(artifact("int8", DIGEST, "F16", ONE, SHAPE)).readyPrefix().isEmpty());
        assertTrue(read(artifact("fp32", "another", "F16", ONE, SHAPE))
                .readyPrefix()
                .isEmpty());
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
        assertTrue(read(artifact("fp32", DIGEST, "F16", ONE, SHAPE), false)
                .readyPrefix()
                .isPresent());
        RefusedException e = assertThrows(RefusedException.class, () -> read(Tiny.artifact("sentiment"), false));
        assertTrue(e.getMessage().contains("`softcall push --prefix fp32`"), e::getMessage);
    }

    private static void refuses(String message, byte[] artifact) {
        RefusedException e = assertThrows(RefusedException.class, () -> read(artifact));
        assertTrue(e.getMessage().contains(message), e::getMessage);
    }

    private static Task read(byte[] artifact) throws Exception {
        return read(artifact, true);
    }

    /** @param encodes whether the base has full precision */
    private static Task read(byte[] artifact, boolean encodes) throws Exception {
        PrefixLayout layout = new PrefixLayout("fp32", DIGEST, 2, 2, 16);
        return new ArtifactReader(
                        new Requirements("tiny-llama", Set.of(Tiny.fingerprint()), 64, 128, layout, encodes),
                        new Signers(List.of()))
                .read(new TaskName("sentiment"), "1", artifact);
    }

    /** The sentiment task with one more tensor, all of whose elements are {@code value}. */
    private static byte[] artifact(String variant, String digest, String dtype, short value, int... shape) {
        try {
            ByteBuffer file = ByteBuffer.wrap(Tiny.artifact("sentiment")).order(ByteOrder.LITTLE_ENDIAN);
            byte[] headerBytes = new byte[(int) file.getLong()];
            file.get(headerBytes);
            ObjectNode header = (ObjectNode) JSON.readTree(headerBytes);
            ObjectNode metadata = (ObjectNode) header.get("__metadata__");
            ObjectNode softcall =
                    (ObjectNode) JSON.readTree(metadata.get("softcall").textValue());
            softcall.putObject("prefix_layouts").put(variant, digest);
            metadata.put("softcall", JSON.writeValueAsString(softcall));
            int elements = 1;
            ObjectNode tensor = header.putObject("prefix." + variant).put("dtype", dtype);
            for (int dimension : shape) {
                tensor.withArray("shape").add(dimension);
                elements *= dimension;
            }
            int end = file.remaining() + elements * Short.BYTES;
            tensor.putArray("data_offsets").add(file.remaining()).add(end);
            byte[] changed = JSON.writeValueAsString(header).getBytes(StandardCharsets.UTF_8);
            ByteBuffer artifact =
                    ByteBuffer.allocate(Long.BYTES + changed.length + end).order(ByteOrder.LITTLE_ENDIAN);
            artifact.putLong(changed.length).put(changed).put(file);
            while (artifact.hasRemaining()) {
                artifact.putShort(value);
            }
            return artifact.array();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
