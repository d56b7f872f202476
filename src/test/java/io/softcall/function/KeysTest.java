package io.softcall.function;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.contains;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.empty;
import static org.hamcrest.Matchers.hasKey;
import static org.hamcrest.Matchers.is;
import static org.hamcrest.Matchers.not;

import io.quarkus.test.common.ResourceArg;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.response.ValidatableResponse;
import io.softcall.S3Server;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** API keys: who is not known gets 401, who may not call a task gets 403. */
@QuarkusTest
@WithTestResource(
        value = S3Server.class,
        initArgs = {
            // echo -n acme-key | sha256sum
            @ResourceArg(
                    name = "softcall.http.keys.acme.sha256",
                    value = "afacab3575137afa4e00d9cbcafcb14c9ae25f779d964eb0ea5b2c4eb5dfd163"),
            @ResourceArg(name = "softcall.http.keys.acme.tasks", value = "acme/*,sentiment"),
        })
class KeysTest {

    @Test
    void withAndWithoutAKey() {
        classify("Bearer acme-key", "acme/intent").statusCode(200);
        classify("bearer acme-key", "sentiment").statusCode(200);
        classify("Bearer acme-key", "long")
                .statusCode(403)
                .body("error.type", is("forbidden"))
                .body("error.message", containsString("\"acme\" may not call task \"long\""));
        classify("Bearer other", "sentiment").statusCode(401).header("www-authenticate", "Bearer");
        classify("Basic x", "sentiment").statusCode(401).body("error.type", is("unauthenticated"));
    }

    @Test
    void funqyAsksForTheSameKey() {
        given().contentType("application/json")
                .body(Map.of("model", "sentiment", "input", "x"))
                .post("/classify-text")
                .then()
                .statusCode(401)
                .header("www-authenticate", "Bearer");
        given().contentType("application/json")
                .header("authorization", "Bearer acme-key")
                .body(Map.of("model", "sentiment", "input", "x"))
                .post("/classify-text")
                .then()
                .statusCode(200);
    }

    @Test
    void aKeySeesItsOwnTasks() {
        given().header("authorization", "Bearer acme-key")
                .get("/v1/models")
                .then()
                .statusCode(200)
                .body("data.id", contains("acme/intent", "sentiment"));
        page("limit=1")
                .body("data.id", contains("acme/intent"))
                .body("has_more", is(true))
                .body("next_after", is("acme/intent"));
        page("limit=1&after=acme/intent")
                .body("data.id", contains("sentiment"))
                .body("has_more", is(false))
                .body("$", not(hasKey("next_after")));
        page("after=acme/zebra").body("data.id", contains("sentiment"));
        page("after=zebra").body("data", empty());
        given().get("/v1/models").then().statusCode(401);
        given().header("authorization", "Bearer acme-key")
                .get("/v1/models/pair")
                .then()
                .statusCode(403);
    }

    @Test
    void jobsAskForAKeyThatMayCallAllTasks() {
        given().contentType("application/json")
                .body("{}")
                .post("/v1/jobs")
                .then()
                .statusCode(401);
        given().contentType("application/json")
                .header("authorization", "Bearer acme-key")
                .body("{}")
                .post("/v1/jobs")
                .then()
                .statusCode(403);
        given().contentType("application/json")
                .header("authorization", "Bearer acme-key")
                .header("ce-specversion", "1.0")
                .header("ce-id", "1")
                .header("ce-source", "test")
                .header("ce-type", "any.type")
                .body("{}")
                .post("/")
                .then()
                .statusCode(403);
        given().header("authorization", "Bearer acme-key")
                .get("/v1/jobs/x/y")
                .then()
                .statusCode(403);
    }

    private static ValidatableResponse page(String query) {
        return given().header("authorization", "Bearer acme-key")
                .get("/v1/models?" + query)
                .then()
                .statusCode(200);
    }

    private static ValidatableResponse classify(String authorization, String task) {
        return given().contentType("application/json")
                .header("authorization", authorization)
                .body(Map.of("model", task, "input", "x"))
                .post("/v1/classify")
                .then();
    }
}
