package io.softcall.api.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.PackagedRun;
import io.softcall.PackagedServer;
import io.softcall.Tiny;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The command {@code classify} of the packaged program: what its pipes carry, and its exit status. */
class ClassifyLinesIT {

    @Test
    void everyGoldenLine() throws Exception {
        for (String task : List.of("sentiment", "pair", "acme/kv-long")) {
            List<Tiny.Row> golden = ClassifyLinesTest.goldenLines(task);
            String input =
                    golden.stream().map(row -> String.join("\t", row.texts())).collect(Collectors.joining("\n"));
            PackagedRun result = classify(input, "--task", task);
            assertEquals(0, result.status(), result::log);
            assertEquals(golden.size(), result.output().size());
            for (int i = 0; i < golden.size(); i++) {
                JsonNode answer = new JsonMapper().readTree(result.output().get(i));
                double best = Arrays.stream(golden.get(i).probs()).max().orElseThrow();
                assertEquals(best, answer.get("score").doubleValue(), 1e-4, answer::toString);
            }
        }
    }

    @Test
    void aBadLine() throws Exception {
        PackagedRun result = classify("A joy.\n\nDreadful.\n", "--task", "sentiment");
        assertEquals(1, result.status(), result::log);
        assertEquals(3, result.output().size());
        assertTrue(result.output().get(1).contains("\"invalid_request\""), result.output()::toString);
    }

    @Test
    void anUnknownTask() throws Exception {
        PackagedRun result = classify("A joy.\n", "--task", "nothing");
        assertEquals(1, result.status(), result::log);
        assertTrue(result.log().contains("classify: ") && result.log().contains("nothing"), result::log);
    }

    @Test
    void anUnknownOption() throws Exception {
        PackagedRun result = classify("", "--what");
        assertEquals(2, result.status(), result::log);
        assertTrue(result.log().contains("--what"), result::log);
    }

    private static PackagedRun classify(String input, String... options) throws IOException, InterruptedException {
        String[] arguments =
                Stream.concat(Stream.of("classify"), Stream.of(options)).toArray(String[]::new);
        return PackagedRun.of(PackagedServer.process(arguments), input);
    }
}
