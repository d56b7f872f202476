package io.softcall.api.json;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.hasKey;
import static org.hamcrest.Matchers.is;
import static org.hamcrest.Matchers.not;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.response.ValidatableResponse;
import io.softcall.EditedArtifact;
import io.softcall.S3Server;
import io.softcall.Tiny;
import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Answers of a task of any number of labels, and the selection of scores, over every path. */
@QuarkusTest
@WithTestResource(S3Server.class)
class SeveralLabelsTest {

    private static final JsonMapper JSON = new JsonMapper();
    private static final List<Tiny.Row> GOLDEN = Tiny.golden("topics");

    S3Server store;

    @ParameterizedTest
    @ValueSource(strings = {"/v1/classify", "/classify", "/classify-text"})
    void labelsArePeftsTheMostProbableFirst(String path) throws IOException {
        Set<Integer> counts = new HashSet<>();
        for (Tiny.Row row : GOLDEN) {
            JsonNode item = item(ask(path, Map.of("model", "topics", "input", row.input())));
            assertAnswers(row, item);
            assertEquals(4, item.get("num_classes").intValue());
            counts.add(item.get("labels").size());
        }
        // Otherwise most of the above would be asserted of one kind of answer.
        assertTrue(counts.size() > 1, counts::toString);
    }

    private static void assertAnswers(Tiny.Row row, JsonNode item) {
        List<String> labels = Tiny.topics(row);
        assertEquals(
                labels,
                item.get("labels").valueStream().map(JsonNode::textValue).toList());
        assertEquals(
                labels.isEmpty() ? null : labels.getFirst(), item.get("label").textValue());
        double score = labels.isEmpty()
                ? Arrays.stream(row.probs()).max().orElseThrow()
                : row.probs()[Tiny.TOPICS.indexOf(labels.getFirst())];
        assertEquals(score, item.get("score").doubleValue(), 1e-4);
        assertEquals(false, item.get("abstained").booleanValue());
        IntStream.range(0, 4)
                .forEach(i ->
                        assertEquals(row.probs()[i], item.get("probs").get(i).doubleValue(), 1e-4));
    }

    @Test
    void inAnEvent() throws IOException {
        for (Tiny.Row row : GOLDEN) {
            byte[] reply = given().contentType("application/json")
                    .headers(Map.of(
                            "ce-specversion",
                            "1.0",
                            "ce-id",
                            "1",
                            "ce-source",
                            "/test",
                            "ce-type",
                            "io.softcall.classify"))
                    .body(Map.of("model", "topics", "input", row.input()))
                    .post("/")
                    .then()
                    .statusCode(200)
                    .extract()
                    .asByteArray();
            assertAnswers(row, JSON.readTree(reply).at("/data/0"));
        }
    }

    /** No label is an answer, too. */
    @Test
    void noLabelIsNoAbstention() throws IOException {
        store.put(
                "topics/none",
                EditedArtifact.of("topics")
                        .metadata(softcall -> {
                            var thresholds = softcall.putArray("thresholds");
                            IntStream.range(0, 4).forEach(i -> thresholds.add(1));
                        })
                        .bytes());
        JsonNode item = item(ask("/v1/classify", Map.of("model", "topics/none", "input", "A joy.")));
        assertEquals(JSON.createArrayNode(), item.get("labels"));
        assertTrue(item.get("label").isNull());
        assertEquals(false, item.get("abstained").booleanValue());
        double best = item.get("probs")
                .valueStream()
                .mapToDouble(JsonNode::doubleValue)
                .max()
                .orElseThrow();
        assertEquals(best, item.get("score").doubleValue());
    }

    @Test
    void otherTasksHaveNoLabels() {
        ask("/v1/classify", Map.of("model", "sentiment", "input", "A joy."))
                .statusCode(200)
                .body("data[0]", not(hasKey("labels")))
                .body("data[0]", not(hasKey("scores")));
    }

    @ParameterizedTest
    @ValueSource(strings = {"topics", "acme/intent"})
    void aSelectionOfScoresHasTheBestFirst(String task) throws IOException {
        Tiny.Row row = Tiny.golden(task).getFirst();
        List<Double> best = Arrays.stream(row.probs())
                .boxed()
                .sorted((a, b) -> Double.compare(b, a))
                .toList();
        assertScores(best.subList(0, 2), task, Map.of("top_k", 2));
        assertScores(best, task, Map.of("top_k", 1_000_000));
        assertScores(best, task, Map.of("min_score", 0));
        double least = (best.get(1) + best.get(2)) / 2;
        assertScores(best.subList(0, 2), task, Map.of("min_score", least));
        assertScores(best.subList(0, 1), task, Map.of("min_score", least, "top_k", 1, "scores", true));
        assertScores(List.of(), task, Map.of("min_score", 1));
    }

    /** The labels stay in the order of the task, as they have always been. */
    @Test
    void allScoresHaveTheOrderOfTheTask() throws IOException {
        JsonNode scores = scores("topics", Map.of("scores", true));
        assertEquals(Tiny.TOPICS, scores.propertyStream().map(Map.Entry::getKey).toList());
    }

    /** What is selected changes neither the labels nor {@code probs}. */
    @Test
    void nothingElseIsCut() throws IOException {
        JsonNode item = item(ask(
                "/v1/classify",
                Map.of("model", "topics", "input", GOLDEN.getFirst().input(), "top_k", 1, "min_score", 1)));
        assertAnswers(GOLDEN.getFirst(), item);
        assertEquals(0, item.get("scores").size());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            "top_k": 0              | top_k is 0, expected a number of labels from 1 to 2147483647
            "top_k": -1             | top_k is -1, expected a number of labels
            "top_k": 1.5            | top_k is 1.5, expected a number of labels
            "top_k": 2147483648     | top_k is 2147483648, expected a number of labels from 1 to 2147483647
            "top_k": "1"            | top_k is a text, expected a number of labels
            "top_k": true           | top_k is true, expected a number of labels
            "min_score": -0.001     | min_score is -0.001, expected a probability from 0 to 1
            "min_score": 1.001      | min_score is 1.001, expected a probability from 0 to 1
            "min_score": "0.5"      | min_score is a text, expected a probability from 0 to 1
            "min_score": [0.5]      | min_score is a list, expected a probability from 0 to 1
            """)
    void valuesOutOfTheirRangeAreRefused(String field, String message) {
        for (String path : List.of("/v1/classify", "/classify-text")) {
            given().contentType("application/json")
                    .body("{\"model\": \"topics\", \"input\": \"x\", %s}".formatted(field))
                    .post(path)
                    .then()
                    .statusCode(400)
                    .body("error.type", is("invalid_request"))
                    .body("error.message", containsString(message));
        }
    }

    private static void assertScores(List<Double> expected, String task, Map<String, Object> fields)
            throws IOException {
        List<Double> found =
                scores(task, fields).valueStream().map(JsonNode::doubleValue).toList();
        assertEquals(expected.size(), found.size(), () -> fields + " gives " + found);
        for (int i = 0; i < found.size(); i++) {
            assertEquals(expected.get(i), found.get(i), 1e-4, () -> fields + " gives " + found);
        }
    }

    private static JsonNode scores(String task, Map<String, Object> fields) throws IOException {
        Map<String, Object> body = new HashMap<>(fields);
        body.put("model", task);
        body.put("input", Tiny.golden(task).getFirst().input());
        return item(ask("/v1/classify", body)).get("scores");
    }

    private static JsonNode item(ValidatableResponse answer) throws IOException {
        return JSON.readTree(answer.statusCode(200).extract().asByteArray()).at("/data/0");
    }

    private static ValidatableResponse ask(String path, Map<String, Object> body) {
        return given().contentType("application/json").body(body).post(path).then();
    }
}
