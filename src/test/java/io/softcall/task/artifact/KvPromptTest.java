package io.softcall.task.artifact;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.EditedArtifact;
import io.softcall.Tiny;
import io.softcall.task.KvPrompt;
import io.softcall.task.PrefixLayout;
import io.softcall.task.ReadyPrefix;
import io.softcall.task.RefusedException;
import io.softcall.task.Requirements;
import io.softcall.task.SoftPrompt;
import io.softcall.task.StoredFloats;
import io.softcall.task.StoredTask;
import io.softcall.task.TaskName;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** KV prompts: how their values are held, and which are refused. */
class KvPromptTest {

    private static final String PROMPT = "prompt_embeddings";
    private static final PrefixLayout LAYOUT = new PrefixLayout("fp32", "digest", true, 2, 2, 16);
    private static final int HEADS = 2 * 2 * 2;
    private static final int WIDTH = HEADS * 16;
    private static final int MAX_TOKENS = 2_048;

    private static final Requirements REQUIREMENTS =
            new Requirements("tiny-llama", Set.of(Tiny.fingerprint()), 64, 1_024, MAX_TOKENS, LAYOUT, false);

    /** [tokens, layers, 2, kv_heads, head_dim] becomes [layers, 2, kv_heads, tokens, head_dim]. */
    @Test
    void aTokensRowsAreSpreadOverTheHeads() throws RefusedException {
        int tokens = 3;
        float[] stored = new float[tokens * WIDTH];
        float[] wanted = new float[stored.length];
        for (int token = 0; token < tokens; token++) {
            for (int head = 0; head < HEADS; head++) {
                for (int d = 0; d < 16; d++) {
                    float value = token * 10_000 + head * 100 + d + .123456f;
                    stored[(token * HEADS + head) * 16 + d] = value;
                    wanted[(head * tokens + token) * 16 + d] = value;
                }
            }
        }
        ReadyPrefix prefix = prefix(EditedArtifact.of("kv").floats(PROMPT, stored, tokens, WIDTH));
        assertEquals(tokens, prefix.tokens());
        assertArrayEquals(wanted, prefix.values().floats());
    }

    /** Half precision stays half precision, and single precision loses nothing. */
    @ParameterizedTest
    @CsvSource({"kv,F32,4", "acme/kv-long,F16,2", "topics,BF16,2"})
    void valuesStayInTheirStoredType(String task, String type, int bytesEach) throws RefusedException {
        ReadyPrefix prefix = prefix(EditedArtifact.of(task));
        assertEquals(type, prefix.values().getClass().getSimpleName());
        assertEquals((long) bytesEach * prefix.tokens() * WIDTH, prefix.heapBytes());
        StoredTask whole = read(EditedArtifact.of(task));
        assertTrue(whole.heapBytes() > prefix.heapBytes());
        assertTrue(whole.heapBytes() < prefix.heapBytes() + 8_000, () -> "" + whole.heapBytes());
    }

    @Test
    void halvesOfBothTypesAreTransposed() throws RefusedException {
        for (String type : List.of("F16", "BF16")) {
            short[] stored = new short[2 * WIDTH];
            for (int i = 0; i < stored.length; i++) {
                stored[i] = (short) (0x3c00 + i);
            }
            StoredFloats values = prefix(EditedArtifact.of("kv").halves(PROMPT, type, stored, 2, WIDTH))
                    .values();
            // The second token's first head comes after the first token's.
            assertEquals(one(type, stored[0]), values.floats(0, 1)[0], type);
            assertEquals(one(type, stored[WIDTH]), values.floats(16, 1)[0], type);
            assertEquals(one(type, stored[16]), values.floats(32, 1)[0], type);
        }
    }

    private static float one(String type, short bits) {
        return type.equals("F16") ? Float.float16ToFloat(bits) : Float.intBitsToFloat(bits << 16);
    }

    /** The base of these requirements has no full-precision trunk. A soft prompt needs one, or a ready prefix. */
    @Test
    void noEncoderIsNeeded() throws RefusedException {
        assertInstanceOf(KvPrompt.class, read(EditedArtifact.of("kv")).prompt());
        assertTrue(refusal(EditedArtifact.of("sentiment")).contains("no full-precision trunk"));
    }

    /** What a soft prompt's ready prefix would be refused for. */
    @Test
    void readyPrefixesOfAKvPromptAreIgnored() throws RefusedException {
        StoredTask task = read(EditedArtifact.of("kv")
                .metadata(softcall -> softcall.putObject("prefix_layouts").put("fp32", "digest"))
                .tensor("prefix.fp32", "BF16", (short) 0x7fff, 3));
        assertEquals(8, task.prompt().tokens());
    }

    @Test
    void aVariantThatScalesKeysRefusesThem() {
        PrefixLayout scaled = new PrefixLayout("fp32", "digest", false, 2, 2, 16);
        Requirements requirements =
                new Requirements("tiny-llama", Set.of(Tiny.fingerprint()), 64, 1_024, MAX_TOKENS, scaled, true);
        RefusedException e = assertThrows(RefusedException.class, () -> read(requirements, EditedArtifact.of("kv")));
        assertTrue(e.getMessage().contains("this server's variant fp32 scales them"), e::getMessage);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            256  | of a KV prompt (layers 2 * 2 * kv_heads 2 * head_dim 16); it has 4 kv_heads, as an adapter of a model without grouped-query attention has
            64   | ; this is the width of a soft prompt, whose metadata says "prompt": "soft"
            1856 | ; it has 29 kv_heads
            320  | ; it has 5 kv_heads
            96   | [8, 96], expected [tokens, 128] of a KV prompt (layers 2 * 2 * kv_heads 2 * head_dim 16)
            """)
    void anotherWidthIsExplained(int width, String message) {
        String refusal = refusal(EditedArtifact.of("kv").tensor(PROMPT, "F16", (short) 0, 8, width));
        assertTrue(refusal.contains(message), refusal);
    }

    /** One head of three layers has the numbers of no number of heads in two layers. */
    @Test
    void anotherNumberOfLayersIsExplained() {
        PrefixLayout layout = new PrefixLayout("fp32", "digest", true, 2, 1, 16);
        Requirements requirements =
                new Requirements("tiny-llama", Set.of(Tiny.fingerprint()), 64, 1_024, MAX_TOKENS, layout, true);
        RefusedException e = assertThrows(
                RefusedException.class,
                () -> read(requirements, EditedArtifact.of("kv").tensor(PROMPT, "F16", (short) 0, 8, 96)));
        assertTrue(e.getMessage().endsWith("it has 3 layers, as an adapter of another base has"), e::getMessage);
    }

    @Test
    void theWidthOfAKvPromptInASoftOneIsExplained() {
        String refusal = refusal(EditedArtifact.of("kv").metadata(softcall -> softcall.put("prompt", "soft")));
        assertTrue(
                refusal.endsWith("this is the width of a KV prompt, whose metadata says \"prompt\": \"kv\""), refusal);
    }

    /** The element is counted in the artifact, not in the prefix. */
    @ParameterizedTest
    @CsvSource({"F16,0x7c00,Infinity", "F16,0x7e00,NaN", "F16,0xfc00,-Infinity", "BF16,0x7f80,Infinity"})
    void valuesThatAreNotFiniteAreRefused(String type, String bits, String value) {
        short[] stored = new short[8 * WIDTH];
        stored[5 * WIDTH + 37] = (short) Integer.decode(bits).intValue();
        assertEquals(
                "tensor prompt_embeddings holds the value %s at element %d".formatted(value, 5 * WIDTH + 37),
                refusal(EditedArtifact.of("kv").halves(PROMPT, type, stored, 8, WIDTH)));
    }

    @Test
    void aValueOfSinglePrecisionThatIsNotFiniteIsRefused() {
        float[] stored = new float[WIDTH];
        stored[WIDTH - 1] = Float.NaN;
        assertEquals(
                "tensor prompt_embeddings holds the value NaN at element " + (WIDTH - 1),
                refusal(EditedArtifact.of("kv").floats(PROMPT, stored, 1, WIDTH)));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            0    | has 0 tokens, expected 1 to 2048 (softcall.limits.prompt-tokens)
            2049 | has 2049 tokens, expected 1 to 2048 (softcall.limits.prompt-tokens)
            2048 | has 2048 tokens, which leave no position for a text: the base tiny-llama has 1024
            1024 | has 1024 tokens, which leave no position for a text
            """)
    void theNumberOfTokensIsBounded(int tokens, String message) throws RefusedException {
        String refusal = refusal(EditedArtifact.of("kv").tensor(PROMPT, "F16", (short) 0, tokens, WIDTH));
        assertTrue(refusal.contains(message), refusal);
        assertEquals(
                1_023,
                read(EditedArtifact.of("kv").tensor(PROMPT, "F16", (short) 0, 1_023, WIDTH))
                        .prompt()
                        .tokens());
    }

    @Test
    void otherTypesOfNumbersAreRefused() {
        assertTrue(refusal(EditedArtifact.of("kv").tensor(PROMPT, "I16", (short) 0, 8, WIDTH))
                .contains("has type I16, expected F32, F16 or BF16"));
    }

    @Test
    void aSchemaDecidesAboutTheType() throws RefusedException {
        assertEquals(
                "prompt is missing, expected \"soft\" or \"kv\"",
                refusal(EditedArtifact.of("kv").metadata(softcall -> softcall.remove("prompt"))));
        assertEquals(
                "prompt is 7, expected \"soft\" or \"kv\"",
                refusal(EditedArtifact.of("kv").metadata(softcall -> softcall.put("prompt", 7))));
        // Schema 1 has no such field, and ignores those that it does not know.
        Requirements encodes =
                new Requirements("tiny-llama", Set.of(Tiny.fingerprint()), 64, 1_024, MAX_TOKENS, LAYOUT, true);
        assertInstanceOf(
                SoftPrompt.class,
                read(encodes, EditedArtifact.of("sentiment").metadata(softcall -> softcall.put("prompt", "kv")))
                        .prompt());
        assertTrue(refusal(EditedArtifact.of("kv").metadata(softcall -> softcall.put("schema", 1)))
                .contains("expected [tokens, 64]"));
    }

    @Test
    void copiesInPiecesAreTheWhole() {
        short[] values = new short[3 * StoredFloats.CHUNK + 5];
        IntStream.range(0, values.length).forEach(i -> values[i] = (short) i);
        for (StoredFloats stored :
                List.of(new StoredFloats.BF16(values), new StoredFloats.F32(new StoredFloats.BF16(values).floats()))) {
            var buffer = java.nio.FloatBuffer.allocate(values.length - 3);
            stored.copy(3, buffer);
            assertArrayEquals(stored.floats(3, values.length - 3), buffer.array());
        }
    }

    private static ReadyPrefix prefix(EditedArtifact artifact) throws RefusedException {
        return ((KvPrompt) read(artifact).prompt()).prefix();
    }

    private static StoredTask read(EditedArtifact artifact) throws RefusedException {
        return read(REQUIREMENTS, artifact);
    }

    private static StoredTask read(Requirements requirements, EditedArtifact artifact) throws RefusedException {
        return new ArtifactReader(requirements, new Signers(List.of())).read(new TaskName("kv"), "1", artifact.bytes());
    }

    private static String refusal(EditedArtifact artifact) {
        return assertThrows(RefusedException.class, () -> read(artifact)).getMessage();
    }
}
