package io.softcall.api.events;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.is;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.core.message.MessageReader;
import io.cloudevents.http.HttpMessageFactory;
import io.cloudevents.jackson.JsonFormat;
import io.quarkus.test.common.ResourceArg;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.softcall.S3Server;
import io.softcall.Sink;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.core.sync.RequestBody;

/** The events for a broker, read with the CloudEvents SDK. */
@QuarkusTest
@WithTestResource(Sink.class)
@WithTestResource(
        value = S3Server.class,
        initArgs = {
            @ResourceArg(name = "softcall.jobs.output", value = "s3://softcall-tests/results"),
            @ResourceArg(name = "softcall.jobs.buckets", value = "softcall-tests"),
            @ResourceArg(name = "softcall.jobs.rules.a.keys", value = "*"),
            @ResourceArg(name = "softcall.jobs.rules.a.task", value = "sentiment"),
            @ResourceArg(name = "softcall.jobs.part-bytes", value = "200"),
            @ResourceArg(name = "softcall.jobs.store-patience", value = "3S"),
        })
class JobEventsTest {

    private static final JsonMapper JSON = new JsonMapper();
    private static final HttpClient CLIENT =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    @TestHTTPResource("/")
    URI function;

    S3Server store;

    Sink broker;

    private record Answer(int status, Optional<CloudEvent> event, byte[] body) {}

    private Answer deliver(CloudEvent event, boolean structured) throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(function);
        var writer = HttpMessageFactory.createWriter(
                request::header, body -> request.POST(HttpRequest.BodyPublishers.ofByteArray(body)));
        if (structured) {
            writer.writeStructured(event, new JsonFormat());
        } else {
            writer.writeBinary(event);
        }
        HttpResponse<byte[]> response = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
        Optional<CloudEvent> reply = Optional.empty();
        if (response.statusCode() == 200) {
            MessageReader reader = HttpMessageFactory.createReader(
                    header ->
                            response.headers().map().forEach((name, values) -> header.accept(name, values.getFirst())),
                    response.body());
            reply = Optional.of(reader.toEvent());
        }
        return new Answer(response.statusCode(), reply, response.body());
    }

    private static CloudEvent event(String type, String data) {
        return CloudEventBuilder.v1()
                .withId("1")
                .withSource(URI.create("test"))
                .withType(type)
                .withData("application/json", data.getBytes(StandardCharsets.UTF_8))
                .build();
    }

    private String put(String key, String content) {
        return store.client()
                .putObject(r -> r.bucket(S3Server.BUCKET).key(key), RequestBody.fromString(content))
                .eTag()
                .replace("\"", "");
    }

    private static String record(String key) {
        return """
                {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                 "s3": {"bucket": {"name": "softcall-tests"}, "object": {"key": "%s"}}}""".formatted(key);
    }

    private static String notification(String key) {
        return "{\"Records\": [%s]}".formatted(record(key));
    }

    private static String quoted(String json) {
        return JSON.getNodeFactory().textNode(json).toString();
    }

    @ParameterizedTest
    @CsvSource({"false, com.amazon.s3.objectcreated", "true, dev.knative.kafka.event"})
    void binaryAndStructuredEventsAreAnsweredInKind(boolean structured, String type) throws Exception {
        String key = "events/ü %s.csv".formatted(structured);
        String etag = put(key, "id,text\n1,A joy.\n");
        for (int i = 0; i < 2; i++) {
            Answer answer = deliver(event(type, notification(key)), structured);
            assertEquals(200, answer.status(), new String(answer.body(), StandardCharsets.UTF_8));
            CloudEvent reply = answer.event().orElseThrow();
            assertEquals("io.softcall.job.completed", reply.getType());
            assertEquals("softcall", reply.getSource().toString());
            // The HTTP binding requires encoded headers, while JSON has the id unencoded.
            String id = "events/%s %s.csv/%s".formatted("ü", structured, etag);
            assertEquals(structured ? id : id.replace("ü ", "%C3%BC%20"), reply.getId());
            assertEquals("application/json", reply.getDataContentType());
            JsonNode data = JSON.readTree(reply.getData().toBytes());
            assertEquals(key + "/" + etag, data.get("job").textValue());
            assertEquals(1, data.get("rows").intValue());
        }
        String bad = "events/bad-%s.csv".formatted(structured);
        put(bad, "no,columns\n");
        CloudEvent reply =
                deliver(event(type, notification(bad)), structured).event().orElseThrow();
        assertEquals("io.softcall.job.failed", reply.getType());
        assertEquals(
                "bad_file",
                JSON.readTree(reply.getData().toBytes()).at("/error/code").textValue());
    }

    @ParameterizedTest
    @ValueSource(strings = {"record", "sqs", "sns in sqs", "sns", "text", "eventbridge"})
    void everyWayToWrapANotification(String wrapping) throws Exception {
        String key = "wrapped/" + wrapping + ".csv";
        put(key, "text\nA joy.\n");
        String notification = notification(key.replace(" ", "+"));
        String sns = "{\"Type\": \"Notification\", \"Message\": %s}".formatted(quoted(notification));
        String data =
                switch (wrapping) {
                    case "record" -> record(key.replace(" ", "%20"));
                    case "sqs" ->
                        "{\"Records\": [{\"messageId\": \"1\", \"body\": %s}]}".formatted(quoted(notification));
                    case "sns in sqs" -> "{\"Records\": [{\"messageId\": \"1\", \"body\": %s}]}".formatted(quoted(sns));
                    case "sns" -> "{\"Records\": [{\"Sns\": %s}]}".formatted(sns);
                    case "text" -> quoted(notification);
                    default -> """
                        {"version": "0", "detail-type": "Object Created", "source": "aws.s3",
                         "detail": {"bucket": {"name": "softcall-tests"}, "object": {"key": "%s"}}}""".formatted(key);
                };
        Answer answer = deliver(event("any.type", data), false);
        assertEquals(200, answer.status(), new String(answer.body(), StandardCharsets.UTF_8));
        assertEquals("io.softcall.job.completed", answer.event().orElseThrow().getType());
        // The same holds without CloudEvents.
        given().contentType("application/json")
                .body(data)
                .post("/v1/jobs")
                .then()
                .statusCode(200)
                .body("rows", is(1));
    }

    @Test
    void nothingToDoAndPoison() throws Exception {
        String test = "{\"Service\": \"Amazon S3\", \"Event\": \"s3:TestEvent\", \"Bucket\": \"softcall-tests\"}";
        String removed = notification("x.csv").replace("ObjectCreated:Put", "ObjectRemoved:Delete");
        for (String data : List.of(test, removed, "{\"Records\": []}")) {
            assertEquals(204, deliver(event("any.type", data), false).status(), data);
            assertEquals(204, deliver(event("any.type", data), true).status(), data);
        }
        String nested = notification("x.csv");
        for (int i = 0; i < 6; i++) {
            nested = "{\"Records\": [{\"body\": %s}]}".formatted(quoted(nested));
        }
        List<String> poison = List.of(
                "{\"any\": \"thing\"}",
                "[]",
                "\"{\"",
                nested,
                notification("a/../b.csv"),
                notification("x.csv").replace("\"softcall-tests\"", "5"),
                "{\"job\": \"no/such/job\", \"part\": 0}",
                "{\"job\": \"../results\", \"part\": 0}");
        for (String data : poison) {
            for (boolean structured : List.of(false, true)) {
                Answer answer = deliver(event("any.type", data), structured);
                assertEquals(400, answer.status(), data);
                assertEquals(
                        "invalid_request",
                        JSON.readTree(answer.body()).at("/error/type").textValue());
            }
        }
        assertEquals(
                403,
                deliver(event("any.type", notification("x.csv").replace("softcall-tests", "other")), false)
                        .status());
    }

    /** Sends one event, and returns the reply. */
    @Test
    void severalRecordsAreToldInOneReply() throws Exception {
        put("events/one.csv", "text\nA joy.\n");
        put("events/two.csv", "text\nA joy.\nCold food.\n");
        put("events/three.csv", "no,columns\n");
        String several = "{\"Records\": [%s, %s, %s]}"
                .formatted(record("events/one.csv"), record("events/three.csv"), record("events/two.csv"));
        Answer answer = deliver(event("any.type", several), false);
        assertEquals(200, answer.status(), new String(answer.body(), StandardCharsets.UTF_8));
        CloudEvent reply = answer.event().orElseThrow();
        assertEquals("io.softcall.job.completed", reply.getType());
        JsonNode reports = JSON.readTree(reply.getData().toBytes()).get("reports");
        assertEquals(3, reports.size());
        assertEquals(1, reports.get(0).get("rows").intValue());
        assertEquals("bad_file", reports.get(1).at("/error/code").textValue());
        assertEquals(2, reports.get(2).get("rows").intValue());
        assertEquals(
                reply.getId(),
                deliver(event("any.type", several), true).event().orElseThrow().getId());
    }

    @Test
    void partsAreHandedToTheBrokerAndTheLastOneCompletesTheJob() throws Exception {
        String key = "split/ü.jsonl";
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 40; i++) {
            lines.append("{\"id\": %d, \"text\": \"A joy.\"}\n".formatted(i));
        }
        String job = key + "/" + put(key, lines.toString());
        broker.refuse(2);
        assertEquals(204, deliver(event("any.type", notification(key)), false).status());
        List<CloudEvent> parts = new ArrayList<>(broker.take());
        assertTrue(parts.size() > 5, "parts: " + parts.size());
        for (int part = 0; part < parts.size(); part++) {
            assertEquals("io.softcall.job.part", parts.get(part).getType());
            JsonNode data = JSON.readTree(parts.get(part).getData().toBytes());
            assertEquals(job, data.get("job").textValue());
            assertEquals(part, data.get("part").intValue());
        }
        given().get("/v1/jobs/{key}/{etag}", key, job.substring(key.length() + 1))
                .then()
                .body("state", is("running"))
                .body("parts", is(parts.size()))
                .body("parts_done", is(0));

        // Events are delivered at least once, in any order, so the first one is delivered again in between.
        Collections.shuffle(parts, new Random(7));
        CloudEvent last = parts.removeLast();
        for (CloudEvent part : parts) {
            assertEquals(204, deliver(part, false).status());
            assertEquals(204, deliver(part, true).status());
        }
        assertEquals(204, deliver(event("any.type", notification(key)), false).status());
        assertEquals(
                List.of(last.getId()),
                broker.take().stream().map(CloudEvent::getId).toList());
        for (int i = 0; i < 2; i++) {
            CloudEvent completed = deliver(last, false).event().orElseThrow();
            assertEquals("io.softcall.job.completed", completed.getType());
            assertEquals(
                    40, JSON.readTree(completed.getData().toBytes()).get("rows").intValue());
        }
        assertEquals(200, deliver(event("any.type", notification(key)), false).status());
        assertTrue(broker.take().isEmpty());
    }

    @Test
    void aBrokerThatIsAwayBringsTheEventBack() throws Exception {
        String key = "split/away.jsonl";
        put(key, "{\"text\": \"A joy.\"}\n");
        broker.refuse(1_000);
        try {
            assertEquals(
                    503, deliver(event("any.type", notification(key)), false).status());
        } finally {
            broker.refuse(0);
        }
        assertEquals(204, deliver(event("any.type", notification(key)), false).status());
        CloudEvent part = broker.take().getFirst();
        assertEquals(
                "io.softcall.job.completed",
                deliver(part, false).event().orElseThrow().getType());
    }
}
