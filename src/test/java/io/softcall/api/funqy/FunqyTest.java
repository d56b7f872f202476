package io.softcall.api.funqy;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.closeTo;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.equalTo;
import static org.hamcrest.Matchers.is;
import static org.hamcrest.Matchers.notNullValue;

import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.http.Method;
import io.restassured.response.Response;
import io.softcall.S3Server;
import io.softcall.Tiny;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The function {@code classify-text}, over plain HTTP. */
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
    void answersWithTheHeadersOfRest() {
        given().contentType("application/json")
                .body(Map.of("model", "sentiment", "input", ROW.texts()))
                .post("/classify-text")
                .then()
                .statusCode(200)
                .header("x-softcall-version", notNullValue())
                .header("x-softcall-infer-ms", notNullValue());
    }

    /** Errors have the same statuses and bodies as those of {@code /v1/classify}. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"model\": \"no/such/task\", \"input\": \"x\"}",
                "{\"model\": \"../x\", \"input\": \"x\"}",
                "{\"model\": \"sentiment\", \"model\": \"sentiment\", \"input\": \"x\"}",
                "{\"model\": \"sentiment\", \"input\": \" \"}",
                "{",
                "[1]",
                "null",
                "",
                "CUSTOMERTEXT",
            })
    void failsAsRestDoes(String body) {
        Response rest = given().contentType("application/json").body(body).post("/v1/classify");
        given().contentType("application/json")
                .body(body)
                .post("/classify-text")
                .then()
                .statusCode(rest.statusCode())
                .contentType(containsString("application/json"))
                .body(equalTo(rest.body().asString()));
    }

    @Test
    void takesJsonByPostAlone() {
        given().contentType("text/plain")
                .body("x")
                .post("/classify-text")
                .then()
                .statusCode(415);
        for (Method method : List.of(Method.GET, Method.PUT, Method.DELETE)) {
            given().request(method, "/classify-text?model=sentiment")
                    .then()
                    .statusCode(405)
                    .body("error.type", is("method_not_allowed"));
        }
    }

    /** A large body is read by other code than a small one. */
    @Test
    void largeBodies() {
        String padding = " ".repeat(100_000);
        given().contentType("application/json")
                .body("{\"model\": \"sentiment\", \"input\": \"A joy.\"}" + padding)
                .post("/classify-text")
                .then()
                .statusCode(200);
        given().contentType("application/json")
                .body("{" + padding)
                .post("/classify-text")
                .then()
                .statusCode(400)
                .body("error.type", is("invalid_request"));
    }
}
