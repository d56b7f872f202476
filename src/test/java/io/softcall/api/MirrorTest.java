package io.softcall.api;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.is;
import static org.hamcrest.Matchers.notNullValue;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.quarkus.test.common.ResourceArg;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.response.ValidatableResponse;
import io.softcall.S3Server;
import io.softcall.Tiny;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Map;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.core.sync.RequestBody;

/** A server with a mirror of a real bucket always answers, and states how old its copy is. */
@QuarkusTest
@WithTestResource(
        value = S3Server.class,
        initArgs = {
            @ResourceArg(
                    name = "softcall.store.uri",
                    value = "mirror:s3://" + S3Server.BUCKET + "/" + S3Server.PREFIX + "?dir=target/mirror-test"),
            @ResourceArg(name = "softcall.store.mirror.interval", value = "2S")
        })
class MirrorTest {

    private static final long LIMIT_NANOS = Duration.ofSeconds(30).toNanos();

    S3Server store;

    @Test
    void theStoreGoesAndComesBackWithANewVersion() throws Exception {
        store.put("sentiment", Tiny.artifact("sentiment"));
        // The copies of an earlier run may still hold its last version.
        byte[] before = MessageDigest.getInstance("SHA-256").digest(Tiny.signed("later"));
        String old =
                awaitOtherVersion(HexFormat.of().formatHex(before)).extract().path("version");
        store.kill();
        for (int i = 0; i < 20; i++) {
            classify("sentiment").statusCode(200).body("version", is(old)).body("stale_ms", notNullValue());
        }
        store.restart();
        store.put("sentiment", Tiny.signed("later"));
        String now = awaitOtherVersion(old).extract().path("version");
        given().get("/v1/models/sentiment").then().statusCode(200).body("version", is(now));
    }

    /** A copy is accepted, aged, replaced and shown like that of a soft prompt. */
    @Test
    void aKvPromptIsMirrored() throws Exception {
        store.put("kv", Tiny.artifact("kv"));
        byte[] whole = MessageDigest.getInstance("SHA-256").digest(Tiny.artifact("kv"));
        String version = HexFormat.of().formatHex(whole);
        awaitVersion("kv", version).body("stale_ms", notNullValue());
        store.put("kv", Tiny.broken("kv-infinite"));
        store.put("acme/kv-long", Tiny.artifact("kv"));
        // Once the other task has changed, a round has seen the refused version.
        awaitVersion("acme/kv-long", version);
        classify("kv").statusCode(200).body("version", is(version));
        given().get("/v1/models/kv").then().statusCode(200).body("task.prompt", is("kv"));
    }

    private static ValidatableResponse awaitVersion(String task, String version) {
        long end = System.nanoTime() + LIMIT_NANOS;
        ValidatableResponse answer = await(task, 200);
        while (!answer.extract().path("version").equals(version)) {
            assertTrue(System.nanoTime() < end, "the version did not arrive");
            answer = classify(task).statusCode(200);
        }
        return answer;
    }

    @Test
    void anObjectThatIsNotWhatWasStoredIsRefused() {
        store.client()
                .putObject(
                        request -> request.bucket(S3Server.BUCKET)
                                .key(S3Server.PREFIX + "damaged/adapter_model.safetensors")
                                .metadata(Map.of("softcall-sha256", "0".repeat(64))),
                        RequestBody.fromBytes(Tiny.artifact("sentiment")));
        await("damaged", 502).body("error.message", containsString("was " + "0".repeat(64) + " when it was stored"));
    }

    private static ValidatableResponse awaitOtherVersion(String version) {
        long end = System.nanoTime() + LIMIT_NANOS;
        ValidatableResponse answer = await("sentiment", 200);
        while (answer.extract().path("version").equals(version)) {
            assertTrue(System.nanoTime() < end, "the new version did not arrive");
            answer = classify("sentiment").statusCode(200);
        }
        return answer;
    }

    private static ValidatableResponse await(String task, int status) {
        long end = System.nanoTime() + LIMIT_NANOS;
        ValidatableResponse answer = classify(task);
        while (answer.extract().statusCode() != status && System.nanoTime() < end) {
            answer = classify(task);
        }
        assertEquals(status, answer.extract().statusCode(), () -> "status of " + task);
        return answer;
    }

    private static ValidatableResponse classify(String task) {
        return given().contentType("application/json")
                .body(Map.of("model", task, "input", "A joy."))
                .post("/v1/classify")
                .then();
    }
}
