package io.softcall.api.events;

import static io.restassured.RestAssured.given;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.cloudevents.CloudEvent;
import io.cloudevents.SpecVersion;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.http.HttpMessageFactory;
import io.cloudevents.jackson.JsonFormat;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.softcall.S3Server;
import io.softcall.Tiny;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Texts to classify in CloudEvents, as SDKs, brokers and sources send them. */
@QuarkusTest
@WithTestResource(S3Server.class)
class EventsTest {

    private static final JsonMapper JSON = new JsonMapper();
    private static final Tiny.Row ROW = Tiny.golden("sentiment").getFirst();
    private static final String BATCH = "application/cloudevents-batch+json";
    private static final HttpClient CLIENT =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    @TestHTTPResource("/")
    URI sink;

    private static String request(String task) {
        return JSON.createObjectNode()
                .put("model", task)
                .put("input", ROW.texts().getFirst())
                .toString();
    }

    private static Map<String, String> attributes() {
        return new TreeMap<>(
                Map.of("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/test", "ce-type", "io.softcall.classify"));
    }

    private static ObjectNode structured(String task) {
        ObjectNode event = JSON.createObjectNode();
        attributes().forEach((name, value) -> event.put(name.substring("ce-".length()), value));
        return event.set("data", json(request(task)));
    }

    private HttpResponse<byte[]> post(Map<String, String> headers, byte[] body) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(sink).POST(HttpRequest.BodyPublishers.ofByteArray(body));
        headers.forEach(request::header);
        return CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
    }

    private HttpResponse<byte[]> post(Map<String, String> headers, String body) throws Exception {
        return post(headers, body.getBytes(StandardCharsets.UTF_8));
    }

    private HttpResponse<byte[]> post(String contentType, JsonNode body) throws Exception {
        return post(Map.of("content-type", contentType), body.toString());
    }

    private static JsonNode json(String text) {
        try {
            return JSON.readTree(text);
        } catch (IOException e) {
            throw new IllegalArgumentException(text, e);
        }
    }

    private static JsonNode json(HttpResponse<byte[]> response) {
        return json(new String(response.body(), StandardCharsets.UTF_8));
    }

    private static void assertGolden(JsonNode answer) {
        assertEquals(ROW.probs()[0], answer.at("/data/0/probs/0").doubleValue(), 1e-4, answer.toString());
    }

    private static void assertRefused(HttpResponse<byte[]> response, int status, String message) {
        String body = new String(response.body(), StandardCharsets.UTF_8);
        assertEquals(status, response.statusCode(), body);
        assertTrue(json(response).at("/error/message").textValue().contains(message), body);
    }

    /** The first API of the Python SDK and Knative's KafkaSource send no content type; others send their own. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "application/json",
                "APPLICATION/JSON; charset=UTF-8",
                "application/octet-stream",
                "text/plain",
                "text/json",
                "application/vnd.x+json"
            })
    void binaryEventsOfAnyContentType(String type) throws Exception {
        Map<String, String> headers = attributes();
        if (!type.isEmpty()) {
            headers.put("content-type", type);
        }
        HttpResponse<byte[]> response = post(headers, request("sentiment"));
        assertEquals(200, response.statusCode(), new String(response.body(), StandardCharsets.UTF_8));
        CloudEvent reply = HttpMessageFactory.createReaderFromMultimap(
                        response.headers().map(), response.body())
                .toEvent();
        assertEquals("io.softcall.classified", reply.getType());
        assertEquals("softcall", reply.getSource().toString());
        assertEquals("/test#1", reply.getId());
        assertEquals("application/json", reply.getDataContentType());
        assertGolden(json(response));
    }

    @ParameterizedTest
    @CsvSource({
        "application/cloudevents+json, data",
        "Application/CloudEvents+JSON;charset=utf-8, data",
        "application/cloudevents+json, data_base64",
        "application/cloudevents+json, text",
        "application/cloudevents+json, octets"
    })
    void structuredEvents(String type, String form) throws Exception {
        ObjectNode event = structured("sentiment");
        switch (form) {
            case "data_base64" -> {
                event.remove("data");
                event.put(
                        form,
                        Base64.getEncoder().encodeToString(request("sentiment").getBytes(StandardCharsets.UTF_8)));
            }
            case "text" -> event.put("data", request("sentiment")).put("datacontenttype", "text/plain");
            case "octets" -> event.put("datacontenttype", "Application/Octet-Stream");
            default -> {}
        }
        HttpResponse<byte[]> response = post(type, event);
        assertEquals(200, response.statusCode(), new String(response.body(), StandardCharsets.UTF_8));
        assertEquals(
                "application/cloudevents+json",
                response.headers().firstValue("content-type").orElse("").split(";")[0]);
        CloudEvent reply = new JsonFormat().deserialize(response.body());
        assertEquals("io.softcall.classified", reply.getType());
        assertEquals("/test#1", reply.getId());
        assertGolden(json(response).get("data"));
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void repliesKeepWhatBelongsToTheirEvent(boolean structured) throws Exception {
        CloudEvent event = CloudEventBuilder.fromSpecVersion(SpecVersion.V1)
                .withId("ü 1")
                .withSource(URI.create("/test"))
                .withType("io.softcall.classify")
                .withSubject("order 7")
                .withExtension("partitionkey", "Kunde \"ä\" 50%")
                .withExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
                .withExtension("tenant", "a")
                .withData(
                        "application/json",
                        URI.create("/schema"),
                        request("sentiment").getBytes(StandardCharsets.UTF_8))
                .build();
        Map<String, String> headers = new TreeMap<>();
        byte[][] sent = {null};
        var writer = HttpMessageFactory.createWriter(
                (name, value) -> headers.put(
                        name, name.startsWith("ce-") ? io.softcall.jobs.events.CloudEventText.encode(value) : value),
                body -> sent[0] = body);
        if (structured) {
            writer.writeStructured(event, new JsonFormat());
        } else {
            writer.writeBinary(event);
        }
        HttpResponse<byte[]> response = post(headers, sent[0]);
        assertEquals(200, response.statusCode(), new String(response.body(), StandardCharsets.UTF_8));
        Map<String, List<String>> decoded = new TreeMap<>();
        response.headers()
                .map()
                .forEach((name, values) ->
                        decoded.put(name, List.of(io.softcall.jobs.events.CloudEventText.decode(values.getFirst()))));
        CloudEvent reply = HttpMessageFactory.createReaderFromMultimap(decoded, response.body())
                .toEvent();
        assertEquals("/test#ü 1", reply.getId());
        assertEquals("order 7", reply.getSubject());
        assertEquals("Kunde \"ä\" 50%", reply.getExtension("partitionkey"));
        assertEquals(event.getExtension("traceparent"), reply.getExtension("traceparent"));
        assertEquals("a", reply.getExtension("tenant"));
        assertEquals(null, reply.getDataSchema());
    }

    @Test
    void eventsOfVersion03() throws Exception {
        Map<String, String> headers = attributes();
        headers.put("ce-specversion", "0.3");
        assertEquals(200, post(headers, request("sentiment")).statusCode());
    }

    @ParameterizedTest
    @ValueSource(strings = {"id", "source", "type", "specversion"})
    void everyModeAsksForTheSameAttributes(String missing) throws Exception {
        double refused = refusedCalls();
        ObjectNode event = structured("sentiment");
        event.remove(missing);
        String expected = "the event has no " + missing;
        assertRefused(post("application/cloudevents+json", event), 400, expected);
        assertRefused(post("application/cloudevents+json", event.put(missing, " ")), 400, expected);
        Map<String, String> headers = attributes();
        headers.remove("ce-" + missing);
        assertRefused(
                post(headers, request("sentiment")),
                400,
                missing.equals("specversion") ? "there is no CloudEvent" : expected);
        assertEquals(refused + 3, refusedCalls());
    }

    /** Reads the server's counter of calls that were refused for their input. */
    private static double refusedCalls() {
        return given().accept("text/plain")
                .get("/q/metrics")
                .asString()
                .lines()
                .filter(line -> line.startsWith("softcall_calls_total{outcome=\"invalid_request\""))
                .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' '))))
                .sum();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            specversion | 9.9
            source      | not a uri
            time        | yesterday
            """)
    void attributesThatAreNone(String name, String value) throws Exception {
        assertRefused(
                post("application/cloudevents+json", structured("sentiment").put(name, value)),
                400,
                "not a CloudEvent");
        Map<String, String> headers = attributes();
        headers.put("ce-" + name, value);
        assertRefused(post(headers, request("sentiment")), 400, "not a CloudEvent");
    }

    @Test
    void whatIsNoEvent() throws Exception {
        assertRefused(post(Map.of("content-type", "application/json"), request("sentiment")), 400, "no CloudEvent");
        for (String type :
                List.of("application/cloudevents+avro", "application/cloudevents", "application/cloudevents+xml")) {
            assertRefused(post(Map.of("content-type", type), "{}"), 415, "application/cloudevents+json");
        }
        assertRefused(post(Map.of("content-type", "application/cloudevents+json"), "[]"), 400, "not a JSON object");
        assertRefused(post(Map.of("content-type", "application/cloudevents+json"), "{"), 400, "not valid JSON");
        ObjectNode both = structured("sentiment").put("data_base64", "e30=");
        assertRefused(post("application/cloudevents+json", both), 400, "data and data_base64");
        ObjectNode none = structured("sentiment");
        none.remove("data");
        assertRefused(post("application/cloudevents+json", none), 400, "no data");
        assertRefused(post("application/cloudevents+json", none.put("data_base64", "***")), 400, "not a CloudEvent");
    }

    @Test
    void dataThatIsNoRequest() throws Exception {
        byte[] framed = Files.readAllBytes(Path.of("src/test/resources/cases/confluent-framed.bin"));
        assertRefused(post(attributes(), framed), 400, "not valid JSON");
        assertRefused(post(attributes(), ""), 400, "empty");
        assertRefused(post(attributes(), "[1]"), 400, "expected a JSON object");
        assertRefused(post(attributes(), request("../x")), 400, "task name");
        assertRefused(post(attributes(), request("no/such/task")), 404, "no/such/task");
    }

    @Test
    void eachEventOfABatchIsAnswered() throws Exception {
        ArrayNode batch = JSON.createArrayNode();
        for (int i = 0; i < 3; i++) {
            batch.add(structured("sentiment").put("id", "good-" + i).put("subject", "s" + i));
        }
        batch.insert(1, structured("no/such/task").put("id", "unknown").put("subject", "s"));
        batch.insert(2, JSON.createObjectNode().put("specversion", "1.0"));
        batch.insert(3, "no event");
        HttpResponse<byte[]> response = post(BATCH, batch);
        assertEquals(200, response.statusCode(), new String(response.body(), StandardCharsets.UTF_8));
        assertEquals(
                BATCH, response.headers().firstValue("content-type").orElse("").split(";")[0]);
        JsonNode replies = json(response);
        assertEquals(6, replies.size(), replies.toString());
        for (int place : List.of(0, 4, 5)) {
            int i = Math.max(0, place - 3);
            assertEquals(
                    "io.softcall.classified", replies.get(place).get("type").textValue());
            assertEquals("/test#good-" + i, replies.get(place).get("id").textValue());
            assertEquals("s" + i, replies.get(place).get("subject").textValue());
            assertGolden(replies.get(place).get("data"));
        }
        List<String> types = List.of("unknown_task", "invalid_request", "invalid_request");
        for (int i = 0; i < types.size(); i++) {
            assertEquals("io.softcall.failed", replies.get(i + 1).get("type").textValue());
            assertEquals(types.get(i), replies.get(i + 1).at("/data/error/type").textValue());
        }
        assertEquals("/test#unknown", replies.get(1).get("id").textValue());
    }

    @Test
    void batchesAreBounded() throws Exception {
        assertRefused(post(BATCH, JSON.createArrayNode()), 400, "0 events, expected 1 to");
        assertRefused(post(BATCH, JSON.createObjectNode()), 400, "not a list of events");
        ArrayNode many = JSON.createArrayNode();
        for (int i = 0; i < 257; i++) {
            many.add(i);
        }
        assertRefused(post(BATCH, many), 400, "257 events, expected 1 to 256");
    }

    @Test
    void aValueOfAHeaderComesBackInNoHeaderOfItsOwn() throws Exception {
        ObjectNode event =
                structured("sentiment").put("subject", "a\r\nset-cookie: x").put("id", "a\nb");
        HttpResponse<byte[]> structured = post("application/cloudevents+json", event);
        assertEquals(200, structured.statusCode());
        Map<String, String> headers = attributes();
        headers.put("ce-subject", "a%0D%0Aset-cookie: x");
        HttpResponse<byte[]> binary = post(headers, request("sentiment"));
        assertEquals(200, binary.statusCode());
        assertFalse(binary.headers().firstValue("set-cookie").isPresent());
        assertEquals(
                "a%0D%0Aset-cookie:%20x",
                binary.headers().firstValue("ce-subject").orElseThrow());
    }
}
