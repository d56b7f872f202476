package io.softcall.api;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.contains;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.equalTo;
import static org.hamcrest.Matchers.is;
import static org.hamcrest.Matchers.nullValue;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.response.ValidatableResponse;
import io.softcall.EditedArtifact;
import io.softcall.S3Server;
import io.softcall.Tiny;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Bad requests and bad artifacts get a clear error, and do not affect others. */
@QuarkusTest
@WithTestResource(
        value = S3Server.class,
        initArgs = {
            @io.quarkus.test.common.ResourceArg(name = "softcall.http.body-time", value = "2s"),
            @io.quarkus.test.common.ResourceArg(name = "softcall.limits.texts", value = "64")
        })
class BadInputTest {

    @TestHTTPResource("/v1/classify")
    URL url;

    S3Server store;

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
            {                                                    | not valid JSON
            []                                                   | the body is a list
            "text"                                               | the body is a text
            {"input": "x"}                                       | model is missing
            {"model": 7, "input": "x"}                           | model is the number 7
            {"model": "sentiment"}                               | input is missing
            {"model": "sentiment", "input": null}                | input is null
            {"model": "sentiment", "input": {"a": 1}}            | input is an object
            {"model": "sentiment", "input": [1]}                 | input[0] is the number 1
            {"model": "sentiment", "input": [["a", "b", "c"]]}   | input[0] is a list of 3
            {"model": "sentiment", "input": [["a", "b"]]}        | classifies single texts
            {"model": "pair", "input": ["a"]}                    | classifies pairs
            {"model": "sentiment", "input": ["ok", "  "]}        | input[1] has an empty text
            {"model": "sentiment", "input": []}                  | input has 0 texts, expected 1 to 64
            {"model": "sentiment", "input": "x", "scores": 1}    | scores is the number 1
            {"model": "sentiment", "input": "x", "trunkate": 1}  | field "trunkate" is not known
            {"model": "sentiment", "model": "x", "input": "x"}   | field "model" appears twice in an object
            {"model": "sentiment", "input": "x", "truncate_prompt_tokens": 0} | truncate_prompt_tokens is 0
            """)
    void malformedRequests(String body, String message) {
        post(body)
                .statusCode(400)
                .body("error.type", is("invalid_request"))
                .body("error.code", is(400))
                .body("error.message", containsString(message));
    }

    @ParameterizedTest
    @ValueSource(strings = {"../x", "a//b", "", "/a", "a/", "A", "a b", "%2e%2e", "a/../b", "ä", "a\nb"})
    void impossibleTaskNamesReachNoStore(String task) {
        classify(task, "x").statusCode(400).body("error.message", containsString("task name"));
    }

    @Test
    void aTaskNameOf4000Characters() {
        classify("a".repeat(4_000), "x").statusCode(400).body("error.message", containsString("(4000 characters)"));
    }

    @Test
    void unknownTask() {
        classify("no/such/task", "x")
                .statusCode(404)
                .body("error.type", is("unknown_task"))
                .body("error.message", containsString("no/such/task"));
        given().get("/v1/models/no/such/task").then().statusCode(404).body("error.type", is("unknown_task"));
    }

    @Test
    void tooManyTexts() {
        classify("sentiment", Collections.nCopies(65, "x"))
                .statusCode(400)
                .body("error.message", containsString("input has 65 texts, expected 1 to 64"));
    }

    @Test
    void tooLongTexts() {
        classify("sentiment", "x".repeat(70_000))
                .statusCode(422)
                .body("error.type", is("text_too_long"))
                .body("error.message", containsString("70000 characters, at most 65536"));
        String tokens = "word ".repeat(2_000);
        classify("sentiment", tokens).statusCode(422).body("error.message", containsString("tokens"));
        given().contentType("application/json")
                .body(Map.of("model", "sentiment", "input", tokens, "truncate_prompt_tokens", 64))
                .post("/v1/classify")
                .then()
                .statusCode(200)
                .body("usage.prompt_tokens", is(64));
    }

    @Test
    void otherPathsMethodsAndTypes() {
        given().get("/no/such/path").then().statusCode(404).body("error.type", is("not_found"));
        given().get("/v1/classify").then().statusCode(405).body("error.type", is("method_not_allowed"));
        given().contentType("text/plain")
                .body("x")
                .post("/v1/classify")
                .then()
                .statusCode(415)
                .body("error.type", is("unsupported_media_type"));
        for (String query : List.of("limit=0", "limit=10001", "limit=x", "after=A", "after=/" + "a".repeat(1_100))) {
            given().get("/v1/models?" + query).then().statusCode(400).body("error.type", is("invalid_request"));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "other-base,fingerprint",
        "wrong-size,'expected [tokens, 64]'",
        "nan,NaN",
        "truncated,truncated",
        "multitask,MULTITASK_PROMPT_TUNING",
        "huge-header,'claims 1152921504606846976 bytes'",
        "duplicate-labels,appears twice",
        "head-mismatch,label_head",
        "too-many-tokens,'2049 tokens, expected 1 to 2048'",
        "no-positions,'1024 tokens, which leave no position for a text'",
        "kv-heads,'expected [tokens, 128] of a KV prompt (layers 2 * 2 * kv_heads 2 * head_dim 16); it has 4 kv_heads'",
        "kv-infinite,holds the value Infinity at element",
        "kv-soft,this is the width of a soft prompt",
        "no-thresholds,thresholds are",
        "unknown-prompt,prompt is \"deep\"",
        "generation-kind,expected schema 2",
        "schema-3,schema 3",
        "no-metadata,softcall push",
        "header-not-json,not valid JSON",
        "overlapping-offsets,begins at byte"
    })
    void artifactsThatNobodyMayServe(String artifact, String reason) {
        String task = "broken/" + artifact;
        store.put(task, Tiny.broken(artifact));
        for (int i = 0; i < 2; i++) {
            classify(task, "x")
                    .statusCode(502)
                    .body("error.type", is("artifact_refused"))
                    .body("error.message", containsString(task))
                    .body("error.message", containsString(reason));
            classify("sentiment", "x").statusCode(200);
        }
        assertEquals(200, store.statuses(task).getFirst());
        store.put(task, Tiny.artifact("sentiment"));
        classify(task, "x").statusCode(200).body("data[0].label", equalTo(label("sentiment")));
    }

    /** The error comes with the first text, because the tokens of a template are counted only then. */
    @Test
    void aTemplateThatLeavesNoTokenForATextIsRefused() {
        store.put(
                "broken/template",
                EditedArtifact.of("sentiment")
                        .metadata(softcall -> softcall.put("template", "word ".repeat(3_900) + "{text}"))
                        .bytes());
        classify("broken/template", "x")
                .statusCode(502)
                .body("error.type", is("artifact_refused"))
                .body("error.message", containsString("its template alone has"));
    }

    /** JSON cannot express NaN. */
    @Test
    void numbersThatAreTooLargeToAnswerWithAreRefused() {
        store.put(
                "broken/head",
                EditedArtifact.of("sentiment").fill("label_head", 3e38f).bytes());
        classify("broken/head", "x")
                .statusCode(502)
                .body("error.type", is("artifact_refused"))
                .body("error.message", containsString("values that are too large"));
        // The logits are large but finite.
        store.put(
                "large/bias",
                EditedArtifact.of("sentiment").fill("label_bias", 3e38f).bytes());
        classify("large/bias", "x").statusCode(200).body("data[0].probs", contains(.5f, .5f));
        classify("sentiment", "x").statusCode(200);
    }

    @Test
    void anArtifactLargerThanAllowed() {
        store.put("broken/large", new byte[65 * 1024 * 1024]);
        classify("broken/large", "x").statusCode(502).body("error.message", containsString("max-artifact-bytes"));
    }

    @Test
    void aTaskThatAbstainsHasNoLabel() {
        List<Tiny.Row> rows = Tiny.golden("long");
        Tiny.Row unsure = rows.stream()
                .filter(row -> java.util.Arrays.stream(row.probs()).max().orElseThrow() < 0.74)
                .findFirst()
                .orElseThrow();
        classify("long", unsure.texts())
                .statusCode(200)
                .body("data[0].abstained", is(true))
                .body("data[0].label", nullValue());
    }

    @Test
    void aBodyAtAByteASecondIsCutOff() throws Exception {
        long began = System.nanoTime();
        try (Socket socket = new Socket(url.getHost(), url.getPort())) {
            socket.setSoTimeout(10_000);
            OutputStream out = socket.getOutputStream();
            out.write(
                    "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
                            .getBytes(StandardCharsets.US_ASCII));
            out.flush();
            String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertTrue(answer.startsWith("HTTP/1.1 408"), answer);
            assertTrue(answer.contains("request_timeout"), answer);
        }
        assertTrue(System.nanoTime() - began < Duration.ofSeconds(6).toNanos());
    }

    @Test
    void aBodyOf100MegabytesIsCutOff() throws Exception {
        try (Socket socket = new Socket(url.getHost(), url.getPort())) {
            socket.setSoTimeout(10_000);
            socket.getOutputStream()
                    .write(
                            "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n"
                                    .getBytes(StandardCharsets.US_ASCII));
            String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertTrue(answer.startsWith("HTTP/1.1 413"), answer);
            assertTrue(answer.contains("body_too_large"), answer);
        }
    }

    @Test
    void anEndlessChunkedBodyIsCutOff() throws Exception {
        try (Socket socket = new Socket(url.getHost(), url.getPort())) {
            socket.setSoTimeout(10_000);
            OutputStream out = socket.getOutputStream();
            out.write(
                    "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                            .getBytes(StandardCharsets.US_ASCII));
            byte[] chunk = ("100000\r\n" + " ".repeat(0x100000) + "\r\n").getBytes(StandardCharsets.US_ASCII);
            String answer = "";
            try {
                for (int i = 0; i < 64; i++) {
                    out.write(chunk);
                }
            } catch (java.net.SocketException e) {
                answer = "cut";
            }
            InputStream in = socket.getInputStream();
            try {
                answer += new String(in.readAllBytes(), StandardCharsets.UTF_8);
            } catch (java.net.SocketException e) {
                answer += "cut";
            }
            assertTrue(answer.contains("413") || answer.contains("cut"), answer);
        }
        classify("sentiment", "x").statusCode(200);
    }

    private static String label(String task) {
        return classify(task, "x").extract().path("data[0].label");
    }

    private static ValidatableResponse classify(String task, Object input) {
        return given().contentType("application/json")
                .body(Map.of("model", task, "input", input))
                .post("/v1/classify")
                .then();
    }

    private static ValidatableResponse post(String body) {
        return given().contentType("application/json")
                .body(body)
                .post("/v1/classify")
                .then();
    }
}
