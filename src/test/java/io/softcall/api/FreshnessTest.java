package io.softcall.api;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.is;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.softcall.EditedArtifact;
import io.softcall.S3Server;
import io.softcall.Tiny;
import jakarta.inject.Inject;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/** The answering prompt is the one that the store has when the call arrives. */
@QuarkusTest
@WithTestResource(S3Server.class)
class FreshnessTest {

    @TestHTTPResource("/v1/classify")
    URI url;

    @Inject
    MeterRegistry metrics;

    S3Server store;

    @Test
    void aThousandCallsTransferThePromptOnce() throws Exception {
        store.put("fresh/count", Tiny.artifact("sentiment"));
        for (int i = 0; i < 1_000; i++) {
            classify("fresh/count");
        }
        List<Integer> statuses = statuses("fresh/count", 1_000);
        assertEquals(1_000, statuses.size());
        assertEquals(1, Collections.frequency(statuses, 200));
        assertEquals(999, Collections.frequency(statuses, 304));
    }

    @Test
    void overwritingChangesTheNextAnswerAndDeletingEndsIt() {
        store.put("fresh/change", Tiny.artifact("sentiment"));
        String first = version("fresh/change");
        String second = store.overwrite("fresh/change", Tiny.artifact("acme/intent"));
        given().contentType("application/json")
                .body(Map.of("model", "fresh/change", "input", "x"))
                .post("/v1/classify")
                .then()
                .statusCode(200)
                .body("version", is(second))
                .body("data[0].num_classes", is(5));
        assertTrue(!first.equals(second));
        store.delete("fresh/change");
        given().contentType("application/json")
                .body(Map.of("model", "fresh/change", "input", "x"))
                .post("/v1/classify")
                .then()
                .statusCode(404);
    }

    @Test
    void noAnswerIsOlderThanTheStoreUnderSixteenCallersAndTwoHundredOverwrites() throws Exception {
        race("fresh/race", Tiny.artifact("sentiment"), this::version);
    }

    /** The version of a text is that of its first token, which is computed before the store has answered. */
    @Test
    void noTextIsOlderThanTheStoreUnderSixteenStreamsAndTwoHundredOverwrites() throws Exception {
        race("fresh/writer", EditedArtifact.writing("sentiment").bytes(), this::versionOfText);
    }

    private void race(String task, byte[] artifact, Function<String, String> versionOfAnswer) throws Exception {
        int overwrites = 200;
        List<String> versions = Collections.synchronizedList(new ArrayList<>());
        versions.add(store.overwrite(task, variant(artifact, 0)));
        AtomicInteger stored = new AtomicInteger(0);
        AtomicBoolean done = new AtomicBoolean();
        AtomicInteger answers = new AtomicInteger();
        try (ExecutorService callers = Executors.newFixedThreadPool(16)) {
            List<Future<?>> running = new ArrayList<>();
            for (int i = 0; i < 16; i++) {
                running.add(callers.submit(() -> {
                    while (!done.get()) {
                        int floor = stored.get();
                        String version = versionOfAnswer.apply(task);
                        // A version may answer before the overwrite that created it has returned to this test.
                        int index = awaitIndex(versions, version);
                        assertTrue(index >= floor, () -> "version %d answered, %d was stored".formatted(index, floor));
                        answers.incrementAndGet();
                    }
                    return null;
                }));
            }
            for (int i = 1; i <= overwrites; i++) {
                versions.add(store.overwrite(task, variant(artifact, i)));
                stored.set(i);
                awaitAnswers(answers, i);
            }
            done.set(true);
            for (Future<?> caller : running) {
                caller.get();
            }
        }
        assertTrue(answers.get() >= overwrites, () -> answers + " answers");
    }

    /** Waits for an answer to each overwrite, so that answers and overwrites meet. */
    private static void awaitAnswers(AtomicInteger answers, int wanted) throws InterruptedException {
        for (int i = 0; i < 10_000 && answers.get() < wanted; i++) {
            Thread.sleep(1);
        }
    }

    private static int awaitIndex(List<String> versions, String version) throws InterruptedException {
        for (int i = 0; i < 500 && !versions.contains(version); i++) {
            Thread.sleep(10);
        }
        return versions.indexOf(version);
    }

    @Test
    void twoTasksInTurnComputeEachPrefixOnce() {
        store.put("fresh/one", variant(201));
        store.put("fresh/two", variant(202));
        double before = metrics.counter("softcall.prefix.encoded").count();
        for (int i = 0; i < 200; i++) {
            version("fresh/one");
            version("fresh/two");
        }
        assertEquals(2, metrics.counter("softcall.prefix.encoded").count() - before);
    }

    private static byte[] variant(int number) {
        return variant(Tiny.artifact("sentiment"), number);
    }

    /** Returns a task with the lowest bits of the last value of its last tensor changed. */
    private static byte[] variant(byte[] artifact, int number) {
        byte[] changed = artifact.clone();
        changed[changed.length - 4] = (byte) number;
        return changed;
    }

    private String versionOfText(String task) {
        return given().contentType("application/json")
                .body(Map.of("model", task, "prompt", "x", "max_tokens", 4, "stream", true))
                .post("/v1/completions")
                .then()
                .statusCode(200)
                .extract()
                .header("x-softcall-version");
    }

    private String version(String task) {
        try {
            return classify(task).headers().firstValue("x-softcall-version").orElseThrow();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    private HttpResponse<String> classify(String task) throws Exception {
        var response = CLIENT.send(
                HttpRequest.newBuilder(url)
                        .header("content-type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(
                                "{\"model\": \"%s\", \"input\": \"A joy.\"}".formatted(task)))
                        .build(),
                HttpResponse.BodyHandlers.ofString());
        assertEquals(200, response.statusCode(), response.body());
        return response;
    }

    /** The server logs a line shortly after its answer. */
    private List<Integer> statuses(String task, int atLeast) throws InterruptedException {
        for (int i = 0; i < 100 && store.statuses(task).size() < atLeast; i++) {
            Thread.sleep(20);
        }
        return store.statuses(task);
    }
}
