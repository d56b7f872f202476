package io.softcall.api;

import static io.restassured.RestAssured.given;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.path.json.JsonPath;
import io.restassured.path.json.config.JsonPathConfig;
import io.softcall.RealBase;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/**
 * The real base: label logits over HTTP equal those of PEFT in float32, and a text in a call of 16 gets the same logits as
 * alone. training-exporter/tests/make_shipped_golden.py and make_peft_folders.py generate the golden values.
 */
@QuarkusTest
@WithTestResource(value = RealBase.class)
class ShippedTest {

    static final List<String> SHIPPED = RealBase.SHIPPED;
    static final List<String> PEFT_FOLDERS = RealBase.PEFT_FOLDERS;

    private static final int CALL = 16;
    /** The number of texts of each call that are also called alone. More would take too long. */
    private static final int ALONE = 4;

    @JsonIgnoreProperties(ignoreUnknown = true)
    private record Golden(List<Row> rows) {}

    @JsonIgnoreProperties(ignoreUnknown = true)
    private record Row(String text, List<String> texts, long[] ids, double[] logits) {

        String input() {
            return text != null ? text : texts.getFirst();
        }
    }

    @ParameterizedTest
    @FieldSource("SHIPPED")
    void shippedTasks(String task) throws IOException {
        try (InputStream in = Files.newInputStream(Path.of("src/test/resources/shipped", task + ".json.gz"))) {
            compare(
                    task,
                    new JsonMapper()
                            .readValue(new GZIPInputStream(in), Golden.class)
                            .rows(),
                    300);
        }
    }

    @ParameterizedTest
    @FieldSource("PEFT_FOLDERS")
    void plainPeftFolders(String folder) throws IOException {
        Path golden = RealBase.PEFT.resolve(folder).resolve("golden.json");
        compare(
                "peft/" + folder,
                new JsonMapper().readValue(golden.toFile(), Golden.class).rows(),
                10);
    }

    private static void compare(String task, List<Row> rows, int expected) {
        assertEquals(expected, rows.size());
        for (int start = 0; start < rows.size(); start += CALL) {
            List<Row> call = rows.subList(start, Math.min(start + CALL, rows.size()));
            List<double[]> together = classify(task, call);
            for (int i = 0; i < call.size(); i++) {
                Row row = call.get(i);
                assertLogits(row.logits(), together.get(i), row, 1e-3, 1e-4);
                if (i < ALONE) {
                    double[] alone = classify(task, List.of(row)).getFirst();
                    assertLogits(row.logits(), alone, row, 1e-3, 1e-4);
                    assertLogits(alone, together.get(i), row, 1e-4, 0);
                }
            }
        }
    }

    private static void assertLogits(double[] expected, double[] given, Row row, double absolute, double relative) {
        assertEquals(expected.length, given.length);
        for (int label = 0; label < expected.length; label++) {
            double tolerance = absolute + relative * Math.abs(expected[label]);
            assertEquals(expected[label], given[label], tolerance, row::input);
        }
    }

    private static List<double[]> classify(String task, List<Row> rows) {
        JsonPath answer = given().contentType("application/json")
                .body(Map.of(
                        "model",
                        task,
                        "input",
                        rows.stream().map(Row::input).toList(),
                        "logits",
                        true,
                        "truncate_prompt_tokens",
                        256))
                .post("/v1/classify")
                .then()
                .statusCode(200)
                .extract()
                .jsonPath(JsonPathConfig.jsonPathConfig().numberReturnType(JsonPathConfig.NumberReturnType.DOUBLE));
        int tokens = rows.stream().mapToInt(row -> row.ids().length).sum();
        assertEquals(tokens, answer.getInt("usage.prompt_tokens"));
        List<double[]> logits = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
            List<Double> row = answer.getList("data[" + i + "].logits", Double.class);
            assertTrue(row.size() == rows.get(i).logits().length);
            logits.add(row.stream().mapToDouble(d -> d).toArray());
        }
        return logits;
    }
}
