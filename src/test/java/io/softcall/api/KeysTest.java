package io.softcall.api;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.anyOf;
import static org.hamcrest.Matchers.contains;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.empty;
import static org.hamcrest.Matchers.hasKey;
import static org.hamcrest.Matchers.is;
import static org.hamcrest.Matchers.not;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.quarkus.test.common.ResourceArg;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.response.ValidatableResponse;
import io.softcall.S3Server;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** API keys: an unknown caller gets 401, and a caller that may not call a task gets 403. */
@QuarkusTest
@WithTestResource(
        value = S3Server.class,
        initArgs = {
            // echo -n acme-key | sha256sum
            @ResourceArg(
                    name = "softcall.http.keys.acme.sha256",
                    value = "afacab3575137afa4e00d9cbcafcb14c9ae25f779d964eb0ea5b2c4eb5dfd163"),
            @ResourceArg(name = "softcall.http.keys.acme.tasks", value = "acme/*,sentiment"),
            // echo -n admin-key | sha256sum
            @ResourceArg(
                    name = "softcall.http.keys.admin.sha256",
                    value = "69a5265506c94c77b787a7d7377b7685a0eff82e33920a71e7ee22cd6154953e"),
            @ResourceArg(name = "softcall.http.keys.admin.admin", value = "true"),
        })
class KeysTest {

    S3Server store;

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

    @ParameterizedTest
    @ValueSource(strings = {"/v1/completions", "/v1/chat/completions"})
    void textAsksForAKey(String path) {
        given().contentType("application/json")
                .body("{}")
                .post(path)
                .then()
                .statusCode(401)
                .header("www-authenticate", "Bearer");
    }

    @Test
    void aKeySeesItsOwnTasks() {
        given().header("authorization", "Bearer acme-key")
                .get("/v1/models")
                .then()
                .statusCode(200)
                .body("data.id", contains("acme/intent", "acme/kv-long", "sentiment"));
        page("limit=1")
                .body("data.id", contains("acme/intent"))
                .body("has_more", is(true))
                .body("next_after", is("acme/intent"));
        page("limit=1&after=acme/intent").body("data.id", contains("acme/kv-long"));
        page("limit=1&after=acme/kv-long")
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

    @ParameterizedTest
    @ValueSource(strings = {"/q/metrics", "/q/openapi", "/q//metrics", "/q/metrics/", "/%71/metrics"})
    void metricsAndOpenApiAreForThoseWhoRunTheServer(String path) {
        given().urlEncodingEnabled(false).get(path).then().statusCode(401).header("www-authenticate", "Bearer");
        given().urlEncodingEnabled(false)
                .header("authorization", "Bearer acme-key")
                .get(path)
                .then()
                .statusCode(403)
                .body("error.message", containsString("softcall.http.keys.NAME.admin"));
        given().urlEncodingEnabled(false)
                .header("authorization", "Bearer admin-key")
                .get(path)
                .then()
                .statusCode(200);
    }

    @ParameterizedTest
    @ValueSource(strings = {"/q/health", "/q/health/live", "/q/health/ready"})
    void healthIsOpenAndNamesNoPlace(String path) {
        given().get(path)
                .then()
                .statusCode(200)
                .body(not(containsString("s3://")))
                .body(not(containsString("file:")));
    }

    /** Only operators may learn the address of the store. */
    @ParameterizedTest
    @ValueSource(strings = {"/v1/classify", "/classify-text", "/"})
    void errorsNameThePlaceOfTheStoreToThemAlone(String path) {
        for (String task : List.of("acme/none", "acme/broken")) {
            String own = error(path, "Bearer acme-key", task);
            assertTrue(own.contains(task), own);
            assertFalse(own.contains("s3://") || own.contains("softcall-tests"), own);
            String operators = error(path, "Bearer admin-key", task);
            assertTrue(operators.contains("s3://softcall-tests"), operators);
        }
    }

    private String error(String path, String authorization, String task) {
        store.put("acme/broken", new byte[] {1, 2, 3});
        return given().contentType("application/json")
                .header("authorization", authorization)
                .header("ce-specversion", "1.0")
                .header("ce-id", "1")
                .header("ce-source", "test")
                .header("ce-type", "io.softcall.classify")
                .body(Map.of("model", task, "input", "x"))
                .post(path)
                .then()
                .statusCode(anyOf(is(404), is(502)))
                .extract()
                .path("error.message");
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
