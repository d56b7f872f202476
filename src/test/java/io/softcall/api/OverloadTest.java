package io.softcall.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.softcall.inference.GatedModel;
import io.softcall.inference.batching.Batcher;
import jakarta.inject.Inject;
import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A full queue refuses at once, for every way of calling. Accepted calls are answered. */
@QuarkusTest
@TestProfile(OverloadTest.SmallQueue.class)
class OverloadTest {

    public static final class SmallQueue extends GatedProfile {

        public SmallQueue() {
            super("softcall.batch.queue-rows", "4");
        }
    }

    /** A single task may take half of the queue. */
    private static final int PLACES = 2;

    private static final String BODY = "{\"model\": \"sentiment\", \"input\": \"A joy.\"}";
    private static final String LARGE_BODY = BODY + " ".repeat(100_000);

    @TestHTTPResource
    URI url;

    @Inject
    GatedModel model;

    @Inject
    Batcher batcher;

    private CallMetrics metrics;

    @Inject
    void metrics(MeterRegistry registry) {
        metrics = new CallMetrics(registry);
    }

    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    @AfterEach
    void close() {
        model.open();
        client.close();
    }

    /** A way of calling. */
    private record Way(String name, String path, HttpRequest.BodyPublisher body) {

        @Override
        public String toString() {
            return name;
        }
    }

    static Stream<Way> ways() {
        byte[] bytes = BODY.getBytes(StandardCharsets.UTF_8);
        return Stream.of(
                new Way("small", "/v1/classify", HttpRequest.BodyPublishers.ofByteArray(bytes)),
                new Way("vLLM's path", "/classify", HttpRequest.BodyPublishers.ofByteArray(bytes)),
                new Way("large", "/v1/classify", HttpRequest.BodyPublishers.ofString(LARGE_BODY)),
                new Way(
                        "in chunks",
                        "/v1/classify",
                        HttpRequest.BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(bytes))),
                new Way("function", "/classify-text", HttpRequest.BodyPublishers.ofByteArray(bytes)));
    }

    @ParameterizedTest
    @MethodSource("ways")
    void aFullQueueRefusesAtOnce(Way way) throws Exception {
        assertEquals(200, send(way).get().statusCode());
        double refused = refused();
        model.shut();
        CompletableFuture<HttpResponse<String>> running = send(way);
        model.awaitRun();
        List<CompletableFuture<HttpResponse<String>>> waiting =
                Stream.generate(() -> send(way)).limit(PLACES).toList();
        CallMetrics.await(PLACES, metrics::waiting);

        HttpResponse<String> answer = send(way).get();
        assertEquals(429, answer.statusCode(), answer.body());
        assertTrue(answer.body().contains("\"type\":\"overloaded\""), answer.body());
        assertEquals(
                "application/json",
                answer.headers().firstValue("content-type").orElse("").split(";")[0]);
        // Nothing is computed meanwhile, so the backlog is the same as when the call was refused.
        long seconds = Math.clamp(Math.ceilDiv(batcher.backlog().toMillis(), 1_000L), 1, 60);
        assertEquals(seconds, answer.headers().firstValueAsLong("retry-after").orElseThrow());
        assertEquals(refused + 1, refused());

        model.open();
        assertEquals(200, running.get().statusCode());
        for (CompletableFuture<HttpResponse<String>> each : waiting) {
            assertEquals(200, each.get().statusCode());
        }
        assertEquals(200, send(way).get().statusCode());
    }

    private CompletableFuture<HttpResponse<String>> send(Way way) {
        HttpRequest request = HttpRequest.newBuilder(url.resolve(way.path()))
                .header("content-type", "application/json")
                .POST(way.body())
                .build();
        return client.sendAsync(request, HttpResponse.BodyHandlers.ofString());
    }

    private double refused() {
        return metrics.calls("overloaded");
    }
}
