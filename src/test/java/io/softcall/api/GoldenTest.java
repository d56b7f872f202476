package io.softcall.api;

import static io.restassured.RestAssured.given;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.path.json.JsonPath;
import io.softcall.S3Server;
import io.softcall.Tiny;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** The server's answers equal PEFT's results, over HTTP and with an S3 store. */
@QuarkusTest
@WithTestResource(S3Server.class)
class GoldenTest {

    static final List<String> TASKS = Tiny.TASKS;

    @ParameterizedTest
    @FieldSource("TASKS")
    void oneByOne(String task) {
        for (Tiny.Row row : Tiny.golden(task)) {
            JsonPath answer = classify(task, List.of(row.input()));
            assertRow(row, answer, 0);
            assertEquals(row.ids().length, answer.getInt("usage.prompt_tokens"));
        }
    }

    @ParameterizedTest
    @FieldSource("TASKS")
    void inOneCall(String task) {
        List<Tiny.Row> rows = Tiny.golden(task);
        JsonPath answer = classify(task, rows.stream().map(Tiny.Row::input).toList());
        for (int i = 0; i < rows.size(); i++) {
            assertRow(rows.get(i), answer, i);
        }
    }

    private static JsonPath classify(String task, List<Object> input) {
        return given().contentType("application/json")
                .body(Map.of("model", task, "input", input, "logits", true))
                .post("/v1/classify")
                .then()
                .statusCode(200)
                .extract()
                .jsonPath();
    }

    private static void assertRow(Tiny.Row expected, JsonPath answer, int index) {
        String item = "data[" + index + "].";
        assertArrayEquals(expected.logits(), floats(answer.getList(item + "logits", Float.class)), 1e-4f);
        List<Double> probs = answer.getList(item + "probs", Double.class);
        assertArrayEquals(expected.probs(), probs.stream().mapToDouble(d -> d).toArray(), 1e-4);
        assertEquals(index, answer.getInt(item + "index"));
        assertEquals(probs.size(), answer.getInt(item + "num_classes"));
    }

    private static float[] floats(List<Float> values) {
        float[] array = new float[values.size()];
        for (int i = 0; i < array.length; i++) {
            array[i] = values.get(i);
        }
        return array;
    }
}
