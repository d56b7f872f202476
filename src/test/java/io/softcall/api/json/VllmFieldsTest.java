package io.softcall.api.json;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.closeTo;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.is;

import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.response.ValidatableResponse;
import io.softcall.S3Server;
import io.softcall.Tiny;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The additional fields that vLLM's clients send with a text. */
@QuarkusTest
@WithTestResource(S3Server.class)
class VllmFieldsTest {

    private static final Tiny.Row ROW = Tiny.golden("sentiment").getFirst();

    private static ValidatableResponse classify(String fields) {
        return given().contentType("application/json")
                .body("{\"model\": \"sentiment\", \"input\": \"%s\", %s}"
                        .formatted(ROW.texts().getFirst(), fields))
                .post("/classify")
                .then();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\"user\": \"u\"",
                "\"priority\": -1",
                "\"cache_salt\": \"s\"",
                "\"padding\": true",
                "\"mm_processor_kwargs\": {\"a\": 1}",
                "\"add_special_tokens\": false",
                "\"truncation_side\": \"right\", \"truncate_prompt_tokens\": 64",
                "\"truncation_side\": \"left\"",
                "\"use_activation\": true",
                "\"softmax\": true"
            })
    void changesNothing(String fields) {
        classify(fields).statusCode(200).body("data[0].probs[0].toDouble()", closeTo(ROW.probs()[0], 1e-4));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "scores",
                "top_k",
                "min_score",
                "logits",
                "truncate_prompt_tokens",
                "truncation_side",
                "use_activation",
                "activation",
                "add_special_tokens",
                "request_id",
                "user",
                "priority"
            })
    void nullIsNoValue(String field) {
        classify("\"%s\": null".formatted(field)).statusCode(200);
    }

    @ParameterizedTest
    @ValueSource(strings = {"use_activation", "activation", "softmax"})
    void withoutActivationProbsAreTheLogits(String field) {
        classify("\"%s\": false".formatted(field))
                .statusCode(200)
                .body("data[0].probs[0].toDouble()", closeTo(ROW.logits()[0], 1e-3))
                .body("data[0].probs[1].toDouble()", closeTo(ROW.logits()[1], 1e-3));
    }

    @Test
    void theRequestsIdComesBack() {
        classify("\"request_id\": \"mine 1\"").statusCode(200).body("id", is("classify-mine 1"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            "add_special_tokens": true                                  | add_special_tokens is true, expected false
            "truncation_side": "left", "truncate_prompt_tokens": 64     | truncation_side is "left", expected "right"
            "truncation_side": "up"                                     | truncation_side is a text, expected "right"
            "request_id": 7                                             | request_id is the number 7
            "request_id": ""                                            | request_id is a text, expected a text of 1 to 200
            "request_id": "a\\ud83d"                                     | request_id has half of a surrogate pair
            "use_activation": "no"                                      | use_activation is a text
            "messages": []                                              | field "messages" is not known
            """)
    void whatWouldChangeTheAnswerIsRefused(String fields, String message) {
        classify(fields)
                .statusCode(400)
                .body("error.type", is("invalid_request"))
                .body("error.message", containsString(message));
    }

    @Test
    void anIdHasABound() {
        Map<String, Object> body = new HashMap<>(Map.of("model", "sentiment", "input", "x"));
        body.put("request_id", "x".repeat(201));
        given().contentType("application/json")
                .body(body)
                .post("/v1/classify")
                .then()
                .statusCode(400)
                .body("error.message", containsString("request_id"));
    }
}
