package io.softcall.api.openai;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.is;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.QuarkusTestProfile;
import io.quarkus.test.junit.TestProfile;
import io.restassured.response.ValidatableResponse;
import io.softcall.EditedArtifact;
import io.softcall.S3Server;
import jakarta.inject.Inject;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Text from the tiny base, through the whole server. */
@QuarkusTest
@TestProfile(GenerationTest.Bounds.class)
@WithTestResource(S3Server.class)
class GenerationTest {

    /** Small bounds, and the base itself as a task. */
    public static final class Bounds implements QuarkusTestProfile {

        @Override
        public Map<String, String> getConfigOverrides() {
            return Map.of(
                    "softcall.base.serve-as",
                    "base",
                    "softcall.generation.streams",
                    "24",
                    "softcall.generation.max-tokens",
                    "400",
                    "softcall.generation.kv-bytes",
                    "1M");
        }
    }

    @Inject
    MeterRegistry metrics;

    @TestHTTPResource
    URI url;

    S3Server store;

    @BeforeEach
    void store() {
        store.put("writer", EditedArtifact.writing("sentiment").bytes());
        store.put("kv-writer", EditedArtifact.writing("kv").bytes());
        store.put(
                "brief",
                EditedArtifact.writing("kv")
                        .metadata(softcall -> softcall.putObject("generation")
                                .put("max_tokens", 3)
                                .put("temperature", 0))
                        .bytes());
        store.put(
                "chatter",
                EditedArtifact.writing("kv")
                        .metadata(softcall -> softcall.put("chat", true).remove("template"))
                        .bytes());
    }

    @Test
    void aTextIsTheSameAloneAndAmongOthers() throws Exception {
        List<Map<String, Object>> calls = new ArrayList<>();
        for (String task : List.of("writer", "kv-writer", "base")) {
            for (int length = 1; length < 40; length += 13) {
                calls.add(Map.of(
                        "model", task, "prompt", "a b ".repeat(length), "temperature", 0, "max_tokens", 5 + length));
            }
        }
        List<String> alone = calls.stream().map(this::text).toList();
        try (ExecutorService callers = Executors.newFixedThreadPool(calls.size())) {
            List<Future<String>> together =
                    calls.stream().map(call -> callers.submit(() -> text(call))).toList();
            for (int i = 0; i < alone.size(); i++) {
                assertEquals(alone.get(i), together.get(i).get(), calls.get(i).toString());
            }
        }
        assertNothingIsLeft();
    }

    @Test
    void aSeedRepeatsAndAnswersDiffer() {
        Map<String, Object> call =
                Map.of("model", "writer", "prompt", "some text", "n", 3, "seed", 5, "max_tokens", 12);
        List<String> first = complete(call).statusCode(200).extract().path("choices.text");
        assertEquals(first, complete(call).extract().path("choices.text"));
        assertNotEquals(first.get(0), first.get(1));
        assertNotEquals(first.get(1), first.get(2));
        List<String> other = complete(with(call, "seed", 6)).extract().path("choices.text");
        assertNotEquals(first, other);
    }

    @Test
    void theTaskHasDefaultsThatACallMayReplace() {
        complete(Map.of("model", "brief", "prompt", "a", "ignore_eos", true))
                .statusCode(200)
                .body("usage.completion_tokens", is(3))
                .body("choices[0].finish_reason", is("length"));
        complete(Map.of("model", "brief", "prompt", "a", "ignore_eos", true, "max_tokens", 7))
                .body("usage.completion_tokens", is(7));
        // OpenAI's default.
        complete(Map.of("model", "kv-writer", "prompt", "a", "ignore_eos", true))
                .body("usage.completion_tokens", is(16));
    }

    @Test
    void aStopTextEndsAnAnswer() {
        Map<String, Object> call =
                Map.of("model", "base", "prompt", "some text", "temperature", 0, "max_tokens", 30, "ignore_eos", true);
        String whole = text(call);
        String stop = whole.substring(whole.length() / 2, whole.length() / 2 + 2);
        complete(with(call, "stop", List.of("never there", stop)))
                .body("choices[0].text", is(whole.substring(0, whole.indexOf(stop))))
                .body("choices[0].finish_reason", is("stop"));
        complete(with(with(call, "stop", stop), "include_stop_str_in_output", true))
                .body("choices[0].text", is(whole.substring(0, whole.indexOf(stop) + stop.length())));
        assertNothingIsLeft();
    }

    @Test
    void anAnswerIsOneOfTheChoices() {
        List<String> choices = List.of(" yes", " no", " nobody", " never ever");
        for (int seed = 0; seed < 8; seed++) {
            String text = text(Map.of(
                    "model",
                    "writer",
                    "prompt",
                    "Is it?",
                    "seed",
                    seed,
                    "structured_outputs",
                    Map.of("choice", choices)));
            assertTrue(choices.contains(text), text);
        }
    }

    @Test
    void whatCannotBeAnsweredIsRefusedByName() {
        refused(Map.of("model", "writer", "prompt", ""), 400, "prompt[0] is empty");
        refused(
                Map.of("model", "writer", "prompt", "a", "max_tokens", 401),
                400,
                "max_tokens is 401, expected 1 to 400");
        refused(Map.of("model", "writer", "prompt", List.of(9_999)), 400, "expected a token id from 0 to 383");
        refused(Map.of("model", "chatter", "prompt", "a"), 400, "/v1/chat/completions");
        refused(Map.of("model", "writer", "prompt", "a ".repeat(1_100)), 422, "at most");
        refused(
                Map.of("model", "writer", "prompt", "a ".repeat(600), "max_tokens", 300, "n", 12),
                422,
                "softcall.generation.kv-bytes");
        refused(
                Map.of("model", "writer", "prompt", "a", "max_tokens", 1, "guided_choice", List.of("no", "never ever")),
                400,
                "choice[1] has");
        refused(Map.of("model", "writer", "prompt", "a", "n", 25), 429, "softcall.generation.streams");
        refused(Map.of("model", "absent", "prompt", "a"), 404, "absent");
        given().contentType("application/json")
                .body(Map.of("model", "writer", "messages", List.of(Map.of("role", "user", "content", "a"))))
                .post("/v1/chat/completions")
                .then()
                .statusCode(400)
                .body("error.message", containsString("/v1/completions"));
        given().contentType("application/json")
                .body(Map.of("model", "writer", "input", "a"))
                .post("/v1/classify")
                .then()
                .statusCode(400)
                .body("error.message", containsString("/v1/completions"));
        assertNothingIsLeft();
    }

    @Test
    void aPromptWithTooLargeValuesIsRefused() {
        float[] values = new float[6 * 128];
        Arrays.fill(values, 3e38f);
        store.put(
                "huge",
                EditedArtifact.writing("kv")
                        .floats("prompt_embeddings", values, 6, 128)
                        .bytes());
        refused(Map.of("model", "huge", "prompt", "a"), 502, "huge");
        refused(Map.of("model", "huge", "prompt", "a", "stream", true), 502, "huge");
        assertNothingIsLeft();
    }

    @Test
    void chatsThatCannotBeReadAreTheirCallersFault() {
        Map<String, String> empty = Map.of("role", "user", "content", "");
        chat(Map.of("model", "base", "messages", Collections.nCopies(1_025, empty)))
                .statusCode(422)
                .body("error.message", containsString("messages has 1025 messages"));
        // The same limit holds for the tokens of all messages.
        chat(Map.of("model", "base", "messages", Collections.nCopies(1_024, empty)))
                .statusCode(422)
                .body("error.message", containsString("messages has "));
        given().contentType("application/json")
                .body(
                        "{\"model\": \"base\", \"max_tokens\": 2, \"messages\": [{\"role\": \"user\", \"content\": \"\\ud800\"}]}")
                .post("/v1/chat/completions")
                .then()
                .statusCode(200);
    }

    /** A chat begins with an event of its own, which must not hide that the answer failed. */
    @Test
    void aStreamedChatOfARefusedPromptIsAnError() {
        float[] values = new float[6 * 128];
        Arrays.fill(values, 3e38f);
        store.put(
                "huge-chat",
                EditedArtifact.writing("kv")
                        .metadata(softcall -> softcall.put("chat", true).remove("template"))
                        .floats("prompt_embeddings", values, 6, 128)
                        .bytes());
        chat(Map.of("model", "huge-chat", "messages", List.of(Map.of("role", "user", "content", "a")), "stream", true))
                .statusCode(502)
                .body("error.message", containsString("huge-chat"));
    }

    private static ValidatableResponse chat(Map<String, Object> call) {
        return given().contentType("application/json")
                .body(call)
                .post("/v1/chat/completions")
                .then();
    }

    /** The tiny base's chat template is plain text. */
    @Test
    void chatsAreAnsweredWhereTheTaskWasTrainedOnThem() {
        for (String task : List.of("chatter", "base")) {
            given().contentType("application/json")
                    .body(Map.of(
                            "model",
                            task,
                            "messages",
                            List.of(Map.of("role", "user", "content", "hello")),
                            "max_tokens",
                            5,
                            "ignore_eos",
                            true))
                    .post("/v1/chat/completions")
                    .then()
                    .statusCode(200)
                    .body("choices[0].message.role", is("assistant"))
                    .body("usage.completion_tokens", is(5));
        }
    }

    /** Their room was never taken, so it is not given back. */
    @Test
    void callersWhoGiveUpWaitingForRoomTakeAndGiveNone() throws Exception {
        Map<String, Object> call =
                Map.of("model", "base", "prompt", "a ".repeat(300), "max_tokens", 400, "ignore_eos", true);
        byte[] body = new ObjectMapper().writeValueAsBytes(call);
        for (int round = 0; round < 5; round++) {
            List<Socket> callers = new ArrayList<>();
            for (int i = 0; i < 12; i++) {
                Socket caller = new Socket(url.getHost(), url.getPort());
                callers.add(caller);
                caller.getOutputStream()
                        .write(("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                                        + "Content-Length: " + body.length + "\r\n\r\n")
                                .getBytes(StandardCharsets.US_ASCII));
                caller.getOutputStream().write(body);
            }
            Thread.sleep(30);
            assertTrue(gauge("softcall.generation.kv.bytes") <= 1 << 20);
            for (Socket caller : callers) {
                caller.close();
            }
            assertNothingIsLeft();
        }
    }

    @Test
    void answersWaitForRoomAndAllAreServed() throws Exception {
        Map<String, Object> call = Map.of(
                "model", "base", "prompt", "a ".repeat(300), "max_tokens", 200, "ignore_eos", true, "temperature", 0);
        try (ExecutorService callers = Executors.newFixedThreadPool(12)) {
            List<Future<Integer>> all = new ArrayList<>();
            for (int i = 0; i < 12; i++) {
                all.add(callers.submit(
                        () -> complete(call).statusCode(200).extract().<Integer>path("usage.completion_tokens")));
            }
            for (Future<Integer> one : all) {
                assertEquals(200, one.get());
            }
        }
        assertNothingIsLeft();
    }

    private String text(Map<String, Object> call) {
        return complete(call).statusCode(200).extract().path("choices[0].text");
    }

    private static ValidatableResponse complete(Map<String, Object> call) {
        return given().contentType("application/json")
                .body(call)
                .post("/v1/completions")
                .then();
    }

    private static void refused(Map<String, Object> call, int status, String message) {
        complete(call).statusCode(status).body("error.message", containsString(message));
    }

    private static Map<String, Object> with(Map<String, Object> call, String field, Object value) {
        Map<String, Object> changed = new TreeMap<>(call);
        changed.put(field, value);
        return changed;
    }

    /** Answers give their places and their memory back soon after their callers have the last token. */
    private void assertNothingIsLeft() {
        for (int wait = 0; wait < 500; wait++) {
            if (gauge("softcall.generation.answers") == 0 && gauge("softcall.generation.kv.bytes") == 0) {
                return;
            }
            try {
                Thread.sleep(10);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
        assertEquals(0, gauge("softcall.generation.answers"));
        assertEquals(0, gauge("softcall.generation.kv.bytes"));
    }

    private double gauge(String name) {
        return metrics.get(name).gauge().value();
    }
}
