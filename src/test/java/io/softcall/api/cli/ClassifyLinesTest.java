package io.softcall.api.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.QuarkusTestProfile;
import io.quarkus.test.junit.TestProfile;
import io.softcall.SoftcallException;
import io.softcall.Tiny;
import jakarta.inject.Inject;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Lines in, JSON lines out. */
@QuarkusTest
@TestProfile(ClassifyLinesTest.OnTheTinyBase.class)
class ClassifyLinesTest {

    public static final class OnTheTinyBase implements QuarkusTestProfile {
        @Override
        public Map<String, String> getConfigOverrides() {
            return Tiny.SETTINGS;
        }
    }

    @Inject
    ClassifyLines lines;

    @Test
    void singleTextsAndPairs() throws IOException {
        for (String task : List.of("sentiment", "pair", "kv")) {
            List<Tiny.Row> golden = goldenLines(task);
            List<JsonNode> answers = answers(
                    true,
                    golden.stream().map(row -> String.join("\t", row.texts())).collect(Collectors.joining("\n")),
                    "--task",
                    task,
                    "--scores");
            assertEquals(golden.size(), answers.size());
            for (int i = 0; i < golden.size(); i++) {
                double[] probs = golden.get(i).probs();
                double best = IntStream.range(0, probs.length)
                        .mapToDouble(label -> probs[label])
                        .max()
                        .orElseThrow();
                assertEquals(best, answers.get(i).get("score").doubleValue(), 1e-4);
                assertEquals(probs.length, answers.get(i).get("scores").size());
                assertEquals(64, answers.get(i).get("version").textValue().length());
            }
        }
    }

    @Test
    void severalLabels() throws IOException {
        List<Tiny.Row> golden = goldenLines("topics");
        List<JsonNode> answers = answers(
                true,
                golden.stream().map(row -> row.texts().getFirst()).collect(Collectors.joining("\n")),
                "--task",
                "topics");
        assertEquals(golden.size(), answers.size());
        for (int i = 0; i < golden.size(); i++) {
            assertEquals(
                    Tiny.topics(golden.get(i)),
                    answers.get(i)
                            .get("labels")
                            .valueStream()
                            .map(JsonNode::textValue)
                            .toList());
        }
    }

    /** PEFT's results for the inputs that a line can hold. */
    static List<Tiny.Row> goldenLines(String task) {
        return Tiny.golden(task).stream()
                .filter(row -> row.texts().stream().noneMatch(text -> text.matches("(?s).*[\t\n\r].*")))
                .toList();
    }

    @Test
    void aBadLineIsAnErrorOfItsOwn() throws IOException {
        List<JsonNode> answers = answers(false, "A joy.\n\nDreadful.", "--task", "sentiment");
        assertEquals(3, answers.size());
        assertEquals("invalid_request", answers.get(1).at("/error/type").textValue());
        assertTrue(answers.get(2).get("label").isTextual());
    }

    @Test
    void anUnknownTask() {
        assertThrows(SoftcallException.class, () -> answers(true, "A joy.", "--task", "nothing"));
    }

    @Test
    void options() {
        for (String[] wrong : new String[][] {
            {}, {"--task"}, {"--task", "Not A Name"}, {"--task", "a", "--truncate", "0"}, {"--task", "a", "--what"}
        }) {
            assertThrows(SoftcallException.class, () -> ClassifyOptions.parse(wrong));
        }
        assertEquals(
                Integer.MAX_VALUE,
                ClassifyOptions.parse("--truncate", "-1", "--task", "a")
                        .truncate()
                        .getAsInt());
        assertFalse(ClassifyOptions.parse("--task", "a").scores());
    }

    private List<JsonNode> answers(boolean good, String input, String... options) throws IOException {
        var out = new ByteArrayOutputStream();
        boolean all = lines.run(
                ClassifyOptions.parse(options),
                new BufferedReader(new StringReader(input)),
                new PrintStream(out, true, StandardCharsets.UTF_8));
        assertEquals(good, all);
        JsonMapper json = new JsonMapper();
        List<JsonNode> answers = new java.util.ArrayList<>();
        for (String line : out.toString(StandardCharsets.UTF_8).split("\n")) {
            answers.add(json.readTree(line));
        }
        return answers;
    }
}
