package io.softcall.api.kafka;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.is;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.quarkus.test.common.ResourceArg;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.softcall.KafkaBroker;
import io.softcall.S3Server;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.junit.jupiter.api.Test;

/** A loop that cannot continue is reported as down. Here the topic for dead letters does not exist. */
@QuarkusTest
@WithTestResource(
        value = S3Server.class,
        initArgs = {
            @ResourceArg(name = "softcall.kafka.dead-letters", value = "missing"),
            @ResourceArg(name = "kafka.max.block.ms", value = "1000"),
        })
@WithTestResource(KafkaBroker.class)
class KafkaHealthTest {

    private static final int LIMIT_S = 60;

    KafkaBroker kafka;

    @Test
    void aTopicThatCannotBeReadOnTurnsReadinessDown() throws InterruptedException {
        assertEquals(200, ready());
        KafkaBroker.await(kafka.producer()
                .send(new ProducerRecord<>(KafkaBroker.REQUESTS, "poison".getBytes(StandardCharsets.UTF_8))));
        for (int second = 0; ready() == 200 && second < LIMIT_S; second++) {
            Thread.sleep(1_000);
        }
        assertEquals(503, ready());
        given().get("/q/health/ready").then().body("checks.find { it.name == 'kafka' }.status", is("DOWN"));
        // Other parts of the server are not affected.
        given().get("/q/health/live").then().statusCode(200);
        given().contentType("application/json")
                .body(Map.of("model", "sentiment", "input", "A joy."))
                .post("/v1/classify")
                .then()
                .statusCode(200);
    }

    private static int ready() {
        return given().get("/q/health/ready").statusCode();
    }
}
