package io.softcall.task.artifact;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.DictionaryFile;
import com.code_intelligence.jazzer.junit.FuzzTest;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.Allocation;
import io.softcall.EditedArtifact;
import io.softcall.FuzzTexts;
import io.softcall.Reasons;
import io.softcall.Tiny;
import io.softcall.task.Kind;
import io.softcall.task.PrefixLayout;
import io.softcall.task.RefusedException;
import io.softcall.task.Requirements;
import io.softcall.task.StoredTask;
import io.softcall.task.TaskName;
import io.softcall.task.Template;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.DoubleStream;

/** Any artifact is a task that can be served and shown, or is refused. */
class ArtifactReaderFuzzTest {

    private static final TaskName NAME = new TaskName("sentiment");
    private static final int HIDDEN = 64;
    private static final ArtifactReader READER = new ArtifactReader(
            new Requirements(
                    "tiny-llama",
                    Set.of(Tiny.fingerprint()),
                    HIDDEN,
                    1_024,
                    128,
                    new PrefixLayout("fp32", "digest", true, 2, 2, 16),
                    true),
            new Signers(List.of()));
    private static final JsonMapper JSON = new JsonMapper();

    /** The memory per byte of a file: the header and its metadata become texts and trees, and the numbers become arrays. */
    private static final int BYTES_EACH = 500;

    private static final int BYTES_ALWAYS = 16 << 20;

    @FuzzTest
    void artifact(byte[] bytes) throws IOException {
        read(bytes);
    }

    /** @param json the {@code softcall} metadata of an artifact with valid tensors */
    @DictionaryFile(resourcePath = FuzzTexts.JSON_WORDS)
    @FuzzTest
    void metadata(byte[] json) throws IOException {
        String text = new String(json, StandardCharsets.UTF_8);
        Optional<StoredTask> task =
                read(EditedArtifact.of("sentiment").rawMetadata(text).bytes());
        if (task.isPresent()) {
            assertEquals(
                    text.startsWith("\ufeff") ? text.substring(1) : text,
                    task.get().task().metadata());
        }
    }

    private static Optional<StoredTask> read(byte[] bytes) throws IOException {
        StoredTask task;
        try {
            task = Allocation.within(
                    BYTES_ALWAYS + (long) BYTES_EACH * bytes.length, () -> READER.read(NAME, "1", bytes));
        } catch (RefusedException e) {
            Reasons.printable(e.getMessage());
            return Optional.empty();
        }
        assertTrue(task.prompt().tokens() >= 1 && task.prompt().tokens() <= 128);
        assertTrue(task.heapBytes() >= bytes.length - (1 << 16));
        assertTrue(JSON.readTree(task.task().metadata().getBytes(StandardCharsets.UTF_8))
                .isObject());
        switch (task.task().kind()) {
            case Kind.Classification classification -> assertClassification(classification);
            case Kind.Generation generation -> assertGeneration(generation);
        }
        return Optional.of(task);
    }

    private static void assertClassification(Kind.Classification kind) throws IOException {
        assertTrue(kind.temperature() > 0 && Double.isFinite(kind.temperature()));
        DoubleStream thresholds =
                switch (kind) {
                    case Kind.OneLabel one -> one.abstainThreshold().stream();
                    case Kind.MultiLabel several -> DoubleStream.of(several.thresholds());
                };
        assertTrue(thresholds.allMatch(threshold -> threshold > 0 && threshold <= 1));
        assertFills(kind.template());
        // Answers need labels that UTF-8 can encode.
        List<String> labels = kind.head().labels();
        assertEquals(labels, JSON.readValue(JSON.writeValueAsBytes(labels), new TypeReference<List<String>>() {}));
        assertEquals(labels.size(), kind.head().logits(new float[HIDDEN]).length);
    }

    private static void assertGeneration(Kind.Generation kind) {
        kind.template().ifPresent(ArtifactReaderFuzzTest::assertFills);
        Kind.Defaults defaults = kind.defaults();
        assertTrue(defaults.maxTokens().orElse(1) >= 1);
        assertTrue(
                defaults.temperature().orElse(0) >= 0 && defaults.temperature().orElse(0) <= 2);
        assertTrue(defaults.topP().orElse(1) > 0 && defaults.topP().orElse(1) <= 1);
        assertTrue(defaults.stop().stream().noneMatch(String::isEmpty));
    }

    private static void assertFills(Template template) {
        assertEquals(
                template.fields(),
                template.fill(List.of("a", "b").subList(0, template.fields()))
                        .spans()
                        .size());
    }
}
