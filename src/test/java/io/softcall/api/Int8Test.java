package io.softcall.api;

import static io.restassured.RestAssured.given;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.quarkus.test.common.ResourceArg;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.path.json.JsonPath;
import io.softcall.RealBase;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;

/** The real base in 8 bits: the labels are those of PEFT in float32, and an input does not depend on others in its batch. */
@QuarkusTest
@WithTestResource(value = RealBase.class, initArgs = @ResourceArg(name = "variant", value = "int8"))
class Int8Test {

    private static final int CALL = 20;

    @JsonIgnoreProperties(ignoreUnknown = true)
    private record Golden(List<Row> rows) {}

    @JsonIgnoreProperties(ignoreUnknown = true)
    private record Row(String text, double[] logits) {

        int label() {
            return argmax(logits);
        }
    }

    @Test
    void labelsAgreeAndRowsAreIndependent() throws IOException {
        List<Row> rows = golden();
        int agreeing = 0;
        for (int start = 0; start < rows.size(); start += CALL) {
            List<Row> call = rows.subList(start, start + CALL);
            List<double[]> together = classify(call);
            for (int i = 0; i < CALL; i++) {
                agreeing += argmax(together.get(i)) == call.get(i).label() ? 1 : 0;
            }
            double[] alone = classify(call.subList(0, 1)).getFirst();
            assertArrayEquals(alone, together.getFirst(), 1e-6, call.getFirst().text());
        }
        int agreed = agreeing;
        assertTrue(agreed >= .98 * rows.size(), () -> "%d of %d labels agree".formatted(agreed, rows.size()));
    }

    private static List<Row> golden() throws IOException {
        try (InputStream in = Files.newInputStream(Path.of("src/test/resources/shipped/banking77.json.gz"))) {
            return new JsonMapper()
                    .readValue(new GZIPInputStream(in), Golden.class)
                    .rows();
        }
    }

    private static List<double[]> classify(List<Row> rows) {
        JsonPath answer = given().contentType("application/json")
                .body(Map.of(
                        "model",
                        "banking77",
                        "input",
                        rows.stream().map(Row::text).toList(),
                        "logits",
                        true,
                        "truncate_prompt_tokens",
                        256))
                .post("/v1/classify")
                .then()
                .statusCode(200)
                .extract()
                .jsonPath();
        return IntStream.range(0, rows.size())
                .mapToObj(i -> answer.getList("data[" + i + "].logits", Double.class).stream()
                        .mapToDouble(d -> d)
                        .toArray())
                .toList();
    }

    private static int argmax(double[] logits) {
        return IntStream.range(0, logits.length)
                .reduce((a, b) -> logits[b] > logits[a] ? b : a)
                .orElseThrow();
    }
}
