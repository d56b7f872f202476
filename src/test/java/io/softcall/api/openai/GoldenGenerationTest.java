package io.softcall.api.openai;

import static io.restassured.RestAssured.given;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.softcall.S3Server;
import io.softcall.Tiny;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The server writes what PEFT's {@code generate} writes, token by token, alone and among others. */
@QuarkusTest
@WithTestResource(S3Server.class)
class GoldenGenerationTest {

    private static final JsonMapper JSON = new JsonMapper();
    private static final double TOLERANCE = 1e-3;
    private static final List<String> TASKS = List.of("writer", "acme/kv-writer", "chatter");

    /** A smaller distance of the best two logits may be decided differently. */
    private static final double NEAR_TIE = 1e-3;

    S3Server store;

    private JsonNode golden;
    private int end;

    @BeforeEach
    void store() throws IOException {
        golden = JSON.readTree(new File("src/test/resources/tiny/generation.json"));
        end = JSON.readTree(Tiny.BASE.resolve("base.json").toFile())
                .at("/eos_token_ids/0")
                .intValue();
        TASKS.forEach(task -> store.put(task, Tiny.artifact(task)));
    }

    private record Case(String task, JsonNode row) {}

    private List<Case> cases() {
        List<Case> cases = new ArrayList<>();
        for (String task : TASKS) {
            golden.path("tasks").path(task).forEach(row -> cases.add(new Case(task, row)));
        }
        assertTrue(cases.size() >= 15);
        return cases;
    }

    @Test
    void alone() throws IOException {
        for (Case one : cases()) {
            assertGolden(one, answer(one));
        }
    }

    @Test
    void amongOthersAndBesideClassification() throws Exception {
        try (ExecutorService callers = Executors.newFixedThreadPool(16)) {
            List<Case> cases = new ArrayList<>();
            List<Future<JsonNode>> answers = new ArrayList<>();
            List<Future<?>> others = new ArrayList<>();
            for (int round = 0; round < 4; round++) {
                for (Case one : cases()) {
                    cases.add(one);
                    answers.add(callers.submit(() -> answer(one)));
                    others.add(callers.submit(GoldenGenerationTest::classify));
                }
            }
            for (int i = 0; i < cases.size(); i++) {
                assertGolden(cases.get(i), answers.get(i).get());
                others.get(i).get();
            }
        }
    }

    private void assertGolden(Case one, JsonNode answer) {
        List<Double> logprobs = new ArrayList<>();
        JsonNode choice = answer.at("/choices/0");
        choice.at("/logprobs/token_logprobs").forEach(score -> logprobs.add(score.doubleValue()));
        choice.at("/logprobs/content")
                .forEach(token -> logprobs.add(token.path("logprob").doubleValue()));
        JsonNode tokens = one.row().path("tokens");
        boolean ends = tokens.get(tokens.size() - 1).intValue() == end;
        for (JsonNode gap : one.row().path("gaps")) {
            assertTrue(gap.doubleValue() > NEAR_TIE, "the golden answers have no near ties");
        }
        assertEquals(tokens.size() - (ends ? 1 : 0), logprobs.size(), one.toString());
        for (int i = 0; i < logprobs.size(); i++) {
            assertEquals(one.row().path("logprobs").get(i).doubleValue(), logprobs.get(i), TOLERANCE, one.toString());
        }
        String text = choice.has("text")
                ? choice.path("text").textValue()
                : choice.at("/message/content").textValue();
        assertEquals(one.row().path("decoded").textValue(), text);
        assertEquals(ends ? "stop" : "length", choice.path("finish_reason").textValue());
        assertEquals(
                one.row().path("ids").size(), answer.at("/usage/prompt_tokens").intValue());
        assertEquals(logprobs.size(), answer.at("/usage/completion_tokens").intValue());
    }

    private JsonNode answer(Case one) throws IOException {
        Map<String, Object> call = new TreeMap<>(Map.of(
                "model", one.task(), "temperature", 0, "stop", List.of(), "max_tokens", golden.get("max_new_tokens")));
        String path = "/v1/completions";
        if (one.row().has("messages")) {
            path = "/v1/chat/completions";
            call.put("messages", one.row().get("messages"));
            call.put("logprobs", true);
        } else {
            call.put("prompt", one.row().get("text"));
            call.put("logprobs", 0);
        }
        return JSON.readTree(given().contentType("application/json")
                .body(JSON.writeValueAsString(call))
                .post(path)
                .then()
                .statusCode(200)
                .extract()
                .asString());
    }

    private static void classify() {
        Tiny.Row row = Tiny.golden("sentiment").getFirst();
        List<Float> logits = given().contentType("application/json")
                .body(Map.of("model", "sentiment", "input", row.input(), "logits", true))
                .post("/v1/classify")
                .then()
                .statusCode(200)
                .extract()
                .path("data[0].logits");
        for (int i = 0; i < logits.size(); i++) {
            assertEquals(row.logits()[i], logits.get(i), 1e-4f);
        }
    }
}
