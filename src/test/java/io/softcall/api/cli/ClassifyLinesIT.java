package io.softcall.api.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.PackagedServer;
import io.softcall.Tiny;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The command {@code classify} of the packaged program: what its pipes carry, and its exit status. */
class ClassifyLinesIT {

    private static final int LIMIT_S = 60;

    private record Result(int status, List<String> output, String errors) {}

    @Test
    void everyGoldenLine() throws Exception {
        for (String task : List.of("sentiment", "pair")) {
            List<Tiny.Row> golden = Tiny.golden(task).stream()
                    .filter(row -> row.texts().stream().noneMatch(text -> text.matches("(?s).*[\t\n\r].*")))
                    .toList();
            String input =
                    golden.stream().map(row -> String.join("\t", row.texts())).collect(Collectors.joining("\n"));
            Result result = classify(input, "--task", task);
            assertEquals(0, result.status(), result::errors);
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
        Result result = classify("A joy.\n\nDreadful.\n", "--task", "sentiment");
        assertEquals(1, result.status(), result::errors);
        assertEquals(3, result.output().size());
        assertTrue(result.output().get(1).contains("\"invalid_request\""), result.output()::toString);
    }

    @Test
    void anUnknownTask() throws Exception {
        Result result = classify("A joy.\n", "--task", "nothing");
        assertEquals(1, result.status(), result::errors);
        assertTrue(result.errors().contains("classify: ") && result.errors().contains("nothing"), result::errors);
    }

    @Test
    void anUnknownOption() throws Exception {
        Result result = classify("", "--what");
        assertEquals(2, result.status(), result::errors);
        assertTrue(result.errors().contains("--what"), result::errors);
    }

    private static Result classify(String input, String... options) throws IOException, InterruptedException {
        String[] arguments = new String[options.length + 1];
        arguments[0] = "classify";
        System.arraycopy(options, 0, arguments, 1, options.length);
        Path in = Files.writeString(Path.of("target/classify-in.txt"), input);
        Path out = Path.of("target/classify-out.txt");
        Path errors = Path.of("target/classify-errors.txt");
        Process process = PackagedServer.process(arguments)
                .redirectInput(in.toFile())
                .redirectOutput(out.toFile())
                .redirectError(errors.toFile())
                .start();
        boolean ended = process.waitFor(LIMIT_S, TimeUnit.SECONDS);
        process.destroyForcibly();
        String log = Files.readString(errors, StandardCharsets.UTF_8);
        assertTrue(ended, () -> "it goes on: " + log);
        return new Result(process.exitValue(), Files.readAllLines(out, StandardCharsets.UTF_8), log);
    }
}
