package io.softcall.api;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.is;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.response.ValidatableResponse;
import io.softcall.S3Server;
import java.time.Duration;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** An unavailable store costs a quick 503, and nothing once it is available again. */
@QuarkusTest
@WithTestResource(value = S3Server.class)
class StoreAwayTest {

    S3Server store;

    @Test
    void killedAndStartedAgain() {
        classify("sentiment").statusCode(200);
        store.kill();
        assertUnavailable();
        store.restart();
        awaitAnswer("sentiment");
        classify("long").statusCode(200);
    }

    @Test
    void silent() {
        classify("sentiment").statusCode(200);
        store.pause();
        try {
            assertUnavailable();
        } finally {
            store.resume();
        }
        classify("sentiment").statusCode(200);
    }

    /** Checks known and unknown tasks, with many concurrent callers. */
    private static void assertUnavailable() {
        IntStream.range(0, 16).parallel().forEach(i -> {
            long began = System.nanoTime();
            classify(i % 2 == 0 ? "sentiment" : "never/seen")
                    .statusCode(503)
                    .body("error.type", is("store_unavailable"));
            // The bound: the timeout of 1,500 ms, and a quarter of it for calls that wait for the revalidation in
            // flight.
            assertTrue(System.nanoTime() - began < Duration.ofMillis(2_800).toNanos());
        });
        long began = System.nanoTime();
        classify("sentiment").statusCode(503);
        assertTrue(System.nanoTime() - began < Duration.ofSeconds(2).toNanos());
        given().get("/q/health/ready").then().statusCode(200);
    }

    /** A store that has just started may need longer for its first answers than a call waits. */
    private static void awaitAnswer(String task) {
        long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (classify(task).extract().statusCode() != 200) {
            assertTrue(System.nanoTime() < end, "the store is back, and the server does not see it");
        }
    }

    private static ValidatableResponse classify(String task) {
        return given().contentType("application/json")
                .body(Map.of("model", task, "input", "A joy."))
                .post("/v1/classify")
                .then();
    }
}
