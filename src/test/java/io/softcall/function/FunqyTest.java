package io.softcall.function;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.closeTo;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.equalTo;
import static org.hamcrest.Matchers.is;

import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.response.ValidatableResponse;
import io.softcall.S3Server;
import io.softcall.Tiny;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The function {@code classify-text}, over plain HTTP and as a sink of CloudEvents. */
@QuarkusTest
@WithTestResource(S3Server.class)
class FunqyTest {

    private static final Tiny.Row ROW = Tiny.golden("sentiment").getFirst();

    @Test
    void plainHttp() {
        given().contentType("application/json")
                .body(Map.of("model", "sentiment", "input", ROW.texts()))
                .post("/classify-text")
                .then()
                .statusCode(200)
                .body("data[0].probs[0].toDouble()", closeTo(ROW.probs()[0], 1e-4))
                .body("model", equalTo("sentiment"));
    }

    @Test
    void binaryCloudEvent() {
        event(Map.of("model", "sentiment", "input", ROW.texts()))
                .statusCode(200)
                .header("ce-type", "io.softcall.classified")
                .header("ce-source", "softcall")
                .body("data[0].probs[0].toDouble()", closeTo(ROW.probs()[0], 1e-4));
    }

    @Test
    void structuredCloudEvent() {
        given().contentType("application/cloudevents+json")
                .body(Map.of(
                        "specversion", "1.0",
                        "id", "1",
                        "source", "test",
                        "type", "io.softcall.classify",
                        "datacontenttype", "application/json",
                        "data", Map.of("model", "sentiment", "input", ROW.texts())))
                .post("/")
                .then()
                .statusCode(200)
                .body("type", is("io.softcall.classified"))
                .body("data.data[0].probs[0].toDouble()", closeTo(ROW.probs()[0], 1e-4));
    }

    /** A broker retries 404, 429 and 5xx, and gives up on 400 and 422: each error must be its own. */
    @ParameterizedTest
    @CsvSource({"no/such/task,404,unknown_task", "../x,400,invalid_request"})
    void errorsOfEventsAndOfPlainCalls(String task, int status, String type) {
        event(Map.of("model", task, "input", "x")).statusCode(status).body("error.type", is(type));
        given().contentType("application/json")
                .body(Map.of("model", task, "input", "x"))
                .post("/classify-text")
                .then()
                .statusCode(status)
                .contentType(containsString("application/json"))
                .body("error.type", is(type));
    }

    @Test
    void malformedBodies() {
        for (String body : List.of("{", "[1]", "", "null")) {
            given().contentType("application/json")
                    .body(body)
                    .post("/classify-text")
                    .then()
                    .statusCode(400);
        }
    }

    private static ValidatableResponse event(Map<String, Object> data) {
        return given().contentType("application/json")
                .header("ce-specversion", "1.0")
                .header("ce-id", "1")
                .header("ce-source", "test")
                .header("ce-type", "io.softcall.classify")
                .body(data)
                .post("/")
                .then();
    }
}
