package io.softcall.api.http;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.containsString;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.softcall.api.CallMetrics;
import io.softcall.api.GatedProfile;
import io.softcall.inference.GatedModel;
import jakarta.inject.Inject;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Cancelled calls, and calls whose deadline has passed, cost no forward pass, as the server's own metrics show. */
@QuarkusTest
@TestProfile(CancellationTest.Gated.class)
class CancellationTest {

    public static final class Gated extends GatedProfile {

        public Gated() {
            super("softcall.limits.call-time", "5S");
        }
    }

    private static final int ROWS = 100;

    @TestHTTPResource
    URI url;

    @Inject
    GatedModel model;

    private CallMetrics metrics;

    @Inject
    void metrics(MeterRegistry registry) {
        metrics = new CallMetrics(registry);
    }

    @AfterEach
    void open() {
        model.open();
    }

    @ParameterizedTest
    @CsvSource({
        "/v1/classify, X-None: x",
        "/classify-text, X-None: x",
        "/, ce-specversion: 1.0|ce-id: 1|ce-source: test|ce-type: io.softcall.classify"
    })
    void aCallerThatHangsUpCostsNoRun(String path, String headers) throws Exception {
        given().contentType("application/json")
                .body(body(1))
                .post("/v1/classify")
                .then()
                .statusCode(200);
        double cancelled = metrics.calls("cancelled");
        double run = metrics.rowsRun();
        model.shut();
        CompletableFuture<Integer> patient = patientCaller();
        model.awaitRun();
        Socket impatient = send(path, headers, body(ROWS));
        CallMetrics.await(ROWS, metrics::waiting);
        impatient.close();
        CallMetrics.await(0, metrics::waiting);
        CallMetrics.await(cancelled + 1, () -> metrics.calls("cancelled"));
        model.open();
        assertEquals(200, patient.get());
        assertEquals(run + 1, metrics.rowsRun());
    }

    @Test
    void aCallWhoseTimeIsUpCostsNoRun() throws Exception {
        given().contentType("application/json")
                .body(body(1))
                .post("/v1/classify")
                .then()
                .statusCode(200);
        double run = metrics.rowsRun();
        model.shut();
        CompletableFuture<Integer> first = patientCaller();
        model.awaitRun();
        CompletableFuture<Integer> second = patientCaller();
        assertEquals(504, second.get());
        assertEquals(504, first.get());
        assertEquals(0, metrics.waiting());
        model.open();
        // The input of the first call was being computed, and ends. That of the second call never began.
        CallMetrics.await(run + 1, metrics::rowsRun);
        given().contentType("application/json")
                .body(body(1))
                .post("/v1/classify")
                .then()
                .statusCode(200);
        assertEquals(run + 2, metrics.rowsRun());
    }

    @Test
    void anEncoderThatIsStuckHoldsNoCallLongerThanItsTime() {
        CountDownLatch gate = model.shutEncoder();
        try {
            given().contentType("application/json")
                    .body("{\"model\": \"acme/intent\", \"input\": \"x\"}")
                    .post("/v1/classify")
                    .then()
                    .statusCode(504)
                    .body("error.message", containsString("the encoder"));
        } finally {
            gate.countDown();
        }
    }

    private CompletableFuture<Integer> patientCaller() {
        return CompletableFuture.supplyAsync(() -> given().contentType("application/json")
                .body(body(1))
                .post("/v1/classify")
                .statusCode());
    }

    private static String body(int texts) {
        List<String> input = new ArrayList<>(Collections.nCopies(texts, "\"A joy.\""));
        return "{\"model\": \"sentiment\", \"input\": %s}".formatted(input);
    }

    private Socket send(String path, String headers, String body) throws IOException {
        Socket socket = new Socket(url.getHost(), url.getPort());
        String request =
                "POST %s HTTP/1.1\r\nHost: test\r\n%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                        .formatted(path, headers.replace("|", "\r\n"), body.length(), body);
        socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
        return socket;
    }
}
