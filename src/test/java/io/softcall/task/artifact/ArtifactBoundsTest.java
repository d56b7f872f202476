package io.softcall.task.artifact;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ArrayNode;
import io.softcall.EditedArtifact;
import io.softcall.Printable;
import io.softcall.Tiny;
import io.softcall.task.Kind;
import io.softcall.task.PrefixLayout;
import io.softcall.task.RefusedException;
import io.softcall.task.Requirements;
import io.softcall.task.StoredTask;
import io.softcall.task.TaskName;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** The bounds of an artifact: large enough for any task, and small enough for a server with thousands of tasks. */
class ArtifactBoundsTest {

    private static final int MAX_TEMPLATE = 20_000;
    private static final PrefixLayout LAYOUT = new PrefixLayout("fp32", "digest", true, 2, 2, 16);

    @Test
    void aTemplateIsBounded() throws RefusedException {
        String most = "x".repeat(MAX_TEMPLATE - "{text}".length());
        assertEquals(
                MAX_TEMPLATE,
                read(template(most + "{text}"))
                        .task()
                        .classification()
                        .template()
                        .toString()
                        .length());
        assertEquals(
                "template has 500006 characters, at most 20000 are accepted",
                refusal(template("x".repeat(500_000) + "{text}")));
    }

    @Test
    void labelsAreBoundedOneByOneAndTogether() {
        assertTrue(refusal(labels(10_000, 26)).startsWith("tensor label_head has shape [2, 64], expected [10000, 64]"));
        assertEquals("label 0 has 1001 characters, at most 1000 are accepted", refusal(labels(2, 1_001)));
        assertEquals("300 labels have more than 262144 bytes, the most that are accepted", refusal(labels(300, 1_000)));
        assertTrue(refusal(labels(10_001, 10)).startsWith("labels: expected a list of 2 to 10000 names"));
    }

    /** A parser without this bound exhausts the heap with a header of 15 MB. */
    @Test
    void aLargeHeaderIsNotParsed() {
        assertTrue(refusal(EditedArtifact.of("sentiment").rawMetadata("[" + "1,".repeat(7_500_000) + "1]"))
                .matches("the safetensors header has \\d+ bytes, at most 1048576 are accepted"));
        assertTrue(refusal(EditedArtifact.of("sentiment").header("other", "x".repeat(2_000_000)))
                .contains("at most 1048576 are accepted"));
    }

    @Test
    void manySmallThingsAreMoreThanTheirBytes() {
        String many = "[" + "1,".repeat(400_000) + "1]";
        assertTrue(refusal(EditedArtifact.of("sentiment").rawMetadata(many)).contains("50000"));
        assertTrue(refusal(training("{\"a\":" + "[".repeat(100) + "]".repeat(100) + "}"))
                .contains("64"));
        EditedArtifact tensors = EditedArtifact.of("sentiment");
        for (int i = 0; i < 5_000; i++) {
            tensors.header("field " + i, "{}");
        }
        // As strings of the header they have no structure.
        assertEquals(
                2, readable(tensors).task().classification().head().labels().size());
        EditedArtifact more = EditedArtifact.of("sentiment");
        for (int i = 0; i < 100; i++) {
            more.tensor("tensor " + i, "F16", (short) 0, 1);
        }
        assertEquals("more than 64 tensors, the most that are accepted", refusal(more));
    }

    @Test
    void aNameTwiceIsRefused() {
        String softcall = "{\"schema\": 1, \"schema\": 1}";
        assertTrue(refusal(EditedArtifact.of("sentiment").rawMetadata(softcall))
                .contains("\"schema\" appears twice in an object"));
    }

    /** JSON can express half of a pair, but an answer that repeats the label or the metadata could not be encoded. */
    @Test
    void halfASurrogatePairIsRefused() {
        for (EditedArtifact artifact : List.of(
                EditedArtifact.of("sentiment").rawMetadata("{\"schema\": 1, \"labels\": [\"a\", \"\\ud83d\"]}"),
                EditedArtifact.of("sentiment").rawMetadata("{\"schema\": 1, \"template\": \"\\ud83d{text}\"}"),
                training("{\"\\ud83d\": 1}"),
                training("\"\\ude80\\ud83d\""))) {
            assertTrue(refusal(artifact).contains("has half of a surrogate pair"), refusal(artifact));
        }
        assertEquals(
                2,
                readable(training("\"\\ud83d\\ude80\""))
                        .task()
                        .classification()
                        .head()
                        .labels()
                        .size());
    }

    /** No control characters reach a terminal, the log or a long answer. */
    @Test
    void whatARefusalRepeatsIsPrintableAndShort() {
        String hostile = "\n2026-11-30 ERROR \u001b[2J".repeat(800);
        for (EditedArtifact artifact : List.of(
                template(hostile),
                EditedArtifact.of("sentiment").metadata(softcall -> softcall.put("kind", hostile)),
                EditedArtifact.of("sentiment").metadata(softcall -> softcall.put("schema", hostile)),
                EditedArtifact.of("sentiment").metadata(softcall -> softcall.put("temperature", hostile)),
                EditedArtifact.of("sentiment")
                        .metadata(softcall ->
                                softcall.withObject("base").put("name", hostile).put("fingerprint", hostile)),
                EditedArtifact.of("sentiment").tensor(hostile, "F99", (short) 0, 1),
                EditedArtifact.of("sentiment").rawMetadata("{\"" + hostile + "\": 1, \"" + hostile + "\": 2}"),
                EditedArtifact.of("sentiment").rawMetadata(hostile))) {
            String refusal = refusal(artifact);
            assertTrue(refusal.length() <= Printable.MAX_LENGTH, refusal);
            assertTrue(refusal.chars().noneMatch(Character::isISOControl), refusal);
        }
    }

    /** The cache of tasks counts these bytes. Numbers are kept as float32, whatever their stored type is. */
    @Test
    void aTaskWeighsWhatItHolds() throws RefusedException {
        StoredTask small = read(EditedArtifact.of("sentiment"));
        long numbers = 4 * (8 * 64 + 2 * 64 + 2);
        assertTrue(small.heapBytes() > numbers && small.heapBytes() < numbers + 6_000, () -> "" + small.heapBytes());
        StoredTask talkative = read(training("\"" + "x".repeat(900_000) + "\""));
        assertTrue(talkative.heapBytes() > small.heapBytes() + 900_000, () -> "" + talkative.heapBytes());
        StoredTask wordy = read(template("x".repeat(10_000) + "{text}"));
        assertTrue(wordy.heapBytes() > small.heapBytes() + 20_000, () -> "" + wordy.heapBytes());
    }

    @Test
    void theLargestOfEachIsRead() throws RefusedException {
        StoredTask task = read(EditedArtifact.of("sentiment")
                .metadata(softcall ->
                        softcall.putArray("labels").add("x".repeat(1_000)).add("y")));
        assertEquals(
                1_000, task.task().classification().head().labels().getFirst().length());
        // The prompt of this task has 8 tokens.
        Requirements eight = new Requirements("tiny-llama", Set.of(Tiny.fingerprint()), 64, 1_024, 8, LAYOUT, true);
        assertEquals(8, read(eight, EditedArtifact.of("sentiment")).prompt().tokens());
        Requirements seven = new Requirements("tiny-llama", Set.of(Tiny.fingerprint()), 64, 1_024, 7, LAYOUT, true);
        assertEquals(
                "tensor prompt_embeddings has 8 tokens, expected 1 to 7 (softcall.limits.prompt-tokens)",
                assertThrows(RefusedException.class, () -> read(seven, EditedArtifact.of("sentiment")))
                        .getMessage());
    }

    @Test
    void temperaturesAndThresholds() throws RefusedException {
        StoredTask plain = read(training("1"));
        assertEquals(1, plain.task().classification().temperature());
        assertTrue(abstains(plain).isEmpty());
        assertEquals(
                2.5, read(number("temperature", "2.5")).task().classification().temperature());
        for (String wrong : List.of("0", "-1", "1e999", "\"x\"", "[]", "null")) {
            assertTrue(refusal(number("temperature", wrong)).startsWith("temperature is "), wrong);
        }
        assertEquals(1, abstains(read(number("abstain_threshold", "1"))).orElseThrow());
        assertEquals(.25, abstains(read(number("abstain_threshold", ".25"))).orElseThrow());
        assertTrue(abstains(read(number("abstain_threshold", "null"))).isEmpty());
        for (String wrong : List.of("0", "-1", "1.001", "\"x\"", "\"0.5\"", "[]")) {
            assertTrue(refusal(number("abstain_threshold", wrong)).startsWith("abstain_threshold is "), wrong);
        }
    }

    private static OptionalDouble abstains(StoredTask task) {
        return ((Kind.OneLabel) task.task().kind()).abstainThreshold();
    }

    /** @param json of a field of the metadata */
    private static EditedArtifact number(String field, String json) {
        String softcall = "{\"schema\": 1, \"kind\": \"classification\", \"base\": {\"fingerprint\": \"%s\"},"
                + " \"template\": \"{text}\", \"labels\": [\"a\", \"b\"], \"%s\": %s}";
        return EditedArtifact.of("sentiment")
                .rawMetadata(softcall.formatted(Tiny.fingerprint(), field, json.startsWith(".") ? "0" + json : json));
    }

    private static EditedArtifact template(String template) {
        return EditedArtifact.of("sentiment").metadata(softcall -> softcall.put("template", template));
    }

    private static EditedArtifact training(String json) {
        String softcall = "{\"schema\": 1, \"kind\": \"classification\", \"base\": {\"fingerprint\": \"%s\"},"
                + " \"template\": \"{text}\", \"labels\": [\"a\", \"b\"], \"training\": %s}";
        return EditedArtifact.of("sentiment").rawMetadata(softcall.formatted(Tiny.fingerprint(), json));
    }

    /** Returns an artifact with many labels. The label head keeps two rows, which are too few, but labels are checked first. */
    private static EditedArtifact labels(int count, int characters) {
        return EditedArtifact.of("sentiment").metadata(softcall -> {
            ArrayNode labels = softcall.putArray("labels");
            IntStream.range(0, count).forEach(i -> labels.add("%05d".formatted(i) + "x".repeat(characters - 5)));
        });
    }

    private static StoredTask readable(EditedArtifact artifact) {
        try {
            return read(artifact);
        } catch (RefusedException e) {
            throw new AssertionError(e);
        }
    }

    private static StoredTask read(EditedArtifact artifact) throws RefusedException {
        return read(new Requirements("tiny-llama", Set.of(Tiny.fingerprint()), 64, 1_024, 128, LAYOUT, true), artifact);
    }

    private static StoredTask read(Requirements requirements, EditedArtifact artifact) throws RefusedException {
        return new ArtifactReader(requirements, new Signers(List.of()))
                .read(new TaskName("sentiment"), "1", artifact.bytes());
    }

    private static String refusal(EditedArtifact artifact) {
        return assertThrows(RefusedException.class, () -> read(artifact)).getMessage();
    }
}
