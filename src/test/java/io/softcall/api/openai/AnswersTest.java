package io.softcall.api.openai;

import static io.restassured.RestAssured.given;
import static io.softcall.inference.generation.ScriptedGenerator.finish;
import static io.softcall.inference.generation.ScriptedGenerator.write;
import static org.hamcrest.Matchers.contains;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.equalTo;
import static org.hamcrest.Matchers.hasKey;
import static org.hamcrest.Matchers.is;
import static org.hamcrest.Matchers.matchesPattern;
import static org.hamcrest.Matchers.not;
import static org.hamcrest.Matchers.nullValue;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.restassured.response.ValidatableResponse;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.Tiny;
import io.softcall.api.CallMetrics;
import io.softcall.inference.generation.Generation.Finish;
import io.softcall.inference.generation.Generation.Piece;
import io.softcall.inference.generation.Generation.Score;
import io.softcall.inference.generation.Generation.Token;
import io.softcall.inference.generation.ScriptedGenerator;
import io.softcall.inference.generation.ScriptedGenerator.Step;
import jakarta.inject.Inject;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Answers that are sent as a whole have OpenAI's shape, and say which version answered. */
@QuarkusTest
@TestProfile(ScriptedProfile.class)
class AnswersTest {

    @Inject
    ScriptedGenerator generator;

    private CallMetrics metrics;

    @Inject
    void metrics(MeterRegistry registry) {
        metrics = new CallMetrics(registry);
    }

    @AfterEach
    void everyAnswerIsClosed() throws InterruptedException {
        CallMetrics.await(0, generator::open);
        CallMetrics.await(
                0,
                () -> metrics.metrics().get("softcall.http.body.bytes").gauge().value());
    }

    private static ValidatableResponse complete(String fields) {
        return post("/v1/completions", "{\"model\": \"acme/notes\", \"prompt\": \"a\"%s}".formatted(fields));
    }

    private static ValidatableResponse chat(String fields) {
        return post(
                "/v1/chat/completions",
                "{\"model\": \"acme/notes\", \"messages\": [{\"role\": \"user\", \"content\": \"a\"}]%s}"
                        .formatted(fields));
    }

    private static ValidatableResponse post(String path, String body) {
        return given().contentType("application/json").body(body).post(path).then();
    }

    private static Score score(int id, String text, double logprob) {
        return new Score(id, text, text.getBytes(StandardCharsets.UTF_8), logprob);
    }

    private static Token token(String text, double logprob, Score... top) {
        return new Token(1, Optional.of(score(1, text, logprob)), List.of(top));
    }

    @Test
    void aCompletion() {
        generator.script(write(0, "Grüße"), write(0, ", "), finish(0, "文化", Finish.STOP));
        complete("")
                .statusCode(200)
                .contentType("application/json")
                .header("x-softcall-version", "v1")
                .body("id", matchesPattern("cmpl-[0-9a-f-]{36}"))
                .body("object", is("text_completion"))
                .body("model", is("acme/notes"))
                .body("version", is("v1"))
                .body("$", not(hasKey("stale_ms")))
                .body("system_fingerprint", is(Tiny.fingerprint().substring(0, 12)))
                .body("choices.size()", is(1))
                .body("choices[0].index", is(0))
                .body("choices[0].text", is("Grüße, 文化"))
                .body("choices[0].logprobs", nullValue())
                .body("choices[0].finish_reason", is("stop"))
                .body("usage.prompt_tokens", is(ScriptedGenerator.PROMPT_TOKENS))
                .body("usage.completion_tokens", is(3))
                .body("usage.total_tokens", is(ScriptedGenerator.PROMPT_TOKENS + 3));
    }

    @Test
    void aChat() {
        generator.script(finish(0, "Hello", Finish.LENGTH));
        chat(", \"request_id\": \"mine\"")
                .statusCode(200)
                .body("id", is("chatcmpl-mine"))
                .body("object", is("chat.completion"))
                .body("choices[0].message.role", is("assistant"))
                .body("choices[0].message.content", is("Hello"))
                .body("choices[0].message", hasKey("refusal"))
                .body("choices[0].logprobs", nullValue())
                .body("choices[0].finish_reason", is("length"));
    }

    @Test
    void answersThatAreWrittenTogetherAreTakenApart() {
        generator.script(
                write(1, "b"), write(0, "a"), finish(0, "A", Finish.STOP), write(1, "B"), finish(1, "", Finish.LENGTH));
        complete(", \"n\": 2")
                .statusCode(200)
                .body("choices.text", contains("aA", "bB"))
                .body("choices.index", contains(0, 1))
                .body("choices.finish_reason", contains("stop", "length"));
    }

    @Test
    void logprobsOfACompletion() {
        generator.script(
                new Step.Write(new Piece(
                        0,
                        "😀b",
                        List.of(
                                token("😀", -0.5, score(1, "😀", -0.5), score(2, "x", -2)),
                                token("b", -3, score(3, "c", -0.25), score(4, "c", -0.75))),
                        Optional.empty())),
                new Step.Write(
                        new Piece(0, "d", List.of(token("d", Double.NEGATIVE_INFINITY)), Optional.of(Finish.STOP))));
        complete(", \"logprobs\": 2")
                .body("choices[0].logprobs.tokens", contains("😀", "b", "d"))
                .body("choices[0].logprobs.token_logprobs", contains(-0.5f, -3f, -9999f))
                .body("choices[0].logprobs.text_offset", contains(0, 1, 2))
                .body("choices[0].logprobs.top_logprobs[0]", equalTo(Map.of("😀", -0.5f, "x", -2f)))
                .body("choices[0].logprobs.top_logprobs[1]", equalTo(Map.of("c", -0.25f, "b", -3f)))
                .body("usage.completion_tokens", is(3));
    }

    @Test
    void logprobsOfAChat() {
        generator.script(new Step.Write(
                new Piece(0, "é", List.of(token("é", -0.5, score(2, "x", -2))), Optional.of(Finish.STOP))));
        chat(", \"logprobs\": true, \"top_logprobs\": 1")
                .body("choices[0].logprobs.content[0].token", is("é"))
                .body("choices[0].logprobs.content[0].logprob", is(-0.5f))
                .body("choices[0].logprobs.content[0].bytes", contains(0xc3, 0xa9))
                .body("choices[0].logprobs.content[0].top_logprobs.token", contains("x"))
                .body("choices[0].logprobs", hasKey("refusal"));
    }

    @Test
    void anAnswerOfAnOldVersionSaysHowOldItIs() {
        generator.script(finish(0, "a", Finish.STOP));
        generator.staleFor(Duration.ofMillis(1_500));
        complete("").body("stale_ms", is(1_500)).header("x-softcall-stale-ms", "1500");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ", \"stream\": true"})
    void aRefusalHasItsStatus(String fields) {
        double unknown = metrics.calls("unknown_task");
        generator.script();
        generator.refuse(new SoftcallException(Reason.UNKNOWN_TASK, "no such task"));
        complete(fields).statusCode(404).contentType("application/json").body("error.type", is("unknown_task"));
        assertEquals(unknown + 1, metrics.calls("unknown_task"));
    }

    @Test
    void aFailureHasItsStatusAndIsCountedOnce() throws InterruptedException {
        double failed = metrics.calls("deadline_exceeded");
        double ok = metrics.calls("ok");
        generator.script(write(0, "a"), new Step.Fail(new SoftcallException(Reason.DEADLINE_EXCEEDED, "too slow")));
        chat("").statusCode(504).body("error.message", is("too slow"));
        assertEquals(failed + 1, metrics.calls("deadline_exceeded"));
        generator.script(finish(0, "a", Finish.STOP));
        chat("").statusCode(200);
        CallMetrics.await(ok + 1, () -> metrics.calls("ok"));
    }

    @Test
    void answersInMemoryHaveABound() {
        generator.script(ScriptedGenerator.endless(write(0, "x".repeat(1_000))));
        complete("").statusCode(429).body("error.message", containsString("softcall.http.max-held-bytes"));
    }

    @Test
    void aBadRequestIsRefusedBeforeItIsAnswered() {
        generator.script();
        complete(", \"n\": 0").statusCode(400).body("error.type", is("invalid_request"));
        post("/v1/chat/completions", "").statusCode(400);
        given().contentType("text/plain")
                .body("{}")
                .post("/v1/completions")
                .then()
                .statusCode(415);
        given().get("/v1/chat/completions").then().statusCode(405).header("Allow", "POST, OPTIONS");
        assertEquals(List.of(), generator.requests());
    }

    @Test
    void aLargeRequestIsReadElsewhere() {
        generator.script(finish(0, "a", Finish.STOP));
        complete(" ".repeat(100_000)).statusCode(200).body("choices[0].text", is("a"));
    }

    @Test
    void metricsKnowThePaths() {
        generator.script(finish(0, "a", Finish.STOP));
        complete("").statusCode(200);
        given().get("/q/metrics").then().body(containsString("uri=\"/v1/completions\""));
    }
}
