package io.softcall.api.kafka;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.is;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.kafka.KafkaMessageFactory;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.softcall.KafkaBroker;
import io.softcall.S3Server;
import io.softcall.Tiny;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Requests on a topic and their answers, on a real broker. The CloudEvents SDK writes and reads the events. */
@QuarkusTest
@WithTestResource(S3Server.class)
@WithTestResource(KafkaBroker.class)
class KafkaTest {

    private static final JsonMapper JSON = new JsonMapper();
    private static final Duration LIMIT = Duration.ofSeconds(30);

    KafkaBroker kafka;
    S3Server store;

    private Map<TopicPartition, Long> answers;
    private Map<TopicPartition, Long> deadLetters;

    @BeforeEach
    void readFromHereOn() {
        answers = kafka.ends(KafkaBroker.ANSWERS);
        deadLetters = kafka.ends(KafkaBroker.DEAD_LETTERS);
    }

    /** The expected answer to a request. */
    private record Expected(String id, String eventId, Tiny.Row row) {}

    @Test
    void everyKindOfRequestInTheOrderOfItsPartition() {
        Map<Integer, List<Expected>> expected = new TreeMap<>();
        for (int i = 0; i < 120; i++) {
            String task = Tiny.TASKS.get(i % Tiny.TASKS.size());
            List<Tiny.Row> golden = Tiny.golden(task);
            Tiny.Row row = golden.get(i % golden.size());
            String key = "key " + i % 7;
            Map<String, Object> body = Map.of("model", task, "input", List.of(row.input()));
            String id = "id " + i;
            switch (i % 4) {
                case 0 -> expect(expected, send(key, with(body, "id", id)), id, "softcall.classify#" + id, row);
                case 1 -> {
                    String place = send(key, body);
                    expect(expected, place, place, place, row);
                }
                case 2 -> expect(expected, send(binary(key, event(id, body))), id, "/test#" + id, row);
                default -> expect(expected, send(structured(key, event(id, body))), id, "/test#" + id, row);
            }
        }
        List<ConsumerRecord<byte[], byte[]>> read = kafka.read(answers, LIMIT, records -> records.size() == 120);
        assertEquals(120, read.size());
        expected.forEach((partition, requests) -> {
            List<ConsumerRecord<byte[], byte[]>> answered = read.stream()
                    .filter(record -> record.partition() == partition)
                    .toList();
            assertEquals(
                    requests.stream().map(Expected::id).toList(),
                    answered.stream()
                            .map(record -> json(record).get("id").textValue())
                            .toList());
            for (int i = 0; i < requests.size(); i++) {
                assertAnswers(requests.get(i), answered.get(i));
            }
        });
    }

    private static void assertAnswers(Expected expected, ConsumerRecord<byte[], byte[]> answer) {
        CloudEvent event = KafkaMessageFactory.createReader(answer).toEvent();
        assertEquals("io.softcall.classified", event.getType());
        assertEquals(URI.create("softcall"), event.getSource());
        assertEquals(expected.eventId(), event.getId());
        double[] probs = new double[expected.row().probs().length];
        JsonNode given = json(answer).get("data").get(0).get("probs");
        IntStream.range(0, probs.length).forEach(i -> probs[i] = given.get(i).doubleValue());
        assertArrayEquals(expected.row().probs(), probs, 1e-4);
    }

    @Test
    void severalLabelsAndSelectedScores() {
        List<Tiny.Row> golden = Tiny.golden("topics");
        golden.forEach(row -> send("k", Map.of("model", "topics", "input", List.of(row.input()), "top_k", 2)));
        List<ConsumerRecord<byte[], byte[]>> read =
                kafka.read(answers, LIMIT, records -> records.size() == golden.size());
        for (int i = 0; i < golden.size(); i++) {
            JsonNode item = json(read.get(i)).at("/data/0");
            assertEquals(
                    Tiny.topics(golden.get(i)),
                    item.get("labels").valueStream().map(JsonNode::textValue).toList());
            assertEquals(2, item.get("scores").size(), item::toString);
        }
    }

    /** Each codec is a library of its own, with native code that is loaded when the first such batch is read. */
    @ParameterizedTest
    @ValueSource(strings = {"gzip", "snappy", "lz4", "zstd"})
    void requestsInBatchesOfEveryCompression(String codec) {
        byte[] request = bytes(Map.of("model", "sentiment", "input", "A joy.", "user", "x".repeat(2_000)));
        try (Producer<byte[], byte[]> producer = kafka.producer(codec)) {
            for (int i = 0; i < 5; i++) {
                producer.send(new ProducerRecord<>(KafkaBroker.REQUESTS, bytes(codec), request));
            }
        }
        List<ConsumerRecord<byte[], byte[]>> read = kafka.read(answers, LIMIT, records -> records.size() == 5);
        assertEquals(5, read.size());
        read.forEach(answer -> assertEquals(1, json(answer).get("data").size(), answer::toString));
    }

    @Test
    void whatCannotBeAnsweredBecomesADeadLetterAndTheRestGoesOn() {
        Map<String, Object> good = Map.of("model", "sentiment", "input", "A joy.");
        Map<String, String> poison = new TreeMap<>(Map.of(
                "{",
                "invalid_request",
                "[1]",
                "invalid_request",
                "{\"id\": 7, \"model\": \"sentiment\", \"input\": \"A joy.\"}",
                "invalid_request",
                "{\"model\": \"sentiment\", \"input\": \" \"}",
                "invalid_request",
                "{\"model\": \"no/such/task\", \"input\": \"A joy.\"}",
                "unknown_task",
                "{\"model\": \"sentiment\", \"input\": \"" + "word ".repeat(5_000) + "\"}",
                "text_too_long"));
        long yesterday = System.currentTimeMillis() - Duration.ofDays(1).toMillis();
        List<String> places = new ArrayList<>();
        poison.keySet().forEach(value -> {
            places.add(send("k", good));
            send(new ProducerRecord<>(
                    KafkaBroker.REQUESTS,
                    null,
                    yesterday,
                    bytes("k"),
                    bytes(value),
                    new RecordHeaders().add("note", bytes("kept"))));
            places.add(send("k", good));
        });
        send(binary(
                "k",
                CloudEventBuilder.from(event("other", good))
                        .withType("com.example.other")
                        .build()));
        send(new ProducerRecord<>(KafkaBroker.REQUESTS, bytes("k"), null));
        places.add(send("k", good));

        List<ConsumerRecord<byte[], byte[]>> read =
                kafka.read(answers, LIMIT, records -> records.size() == places.size());
        assertEquals(
                places,
                read.stream().map(record -> json(record).get("id").textValue()).toList());
        List<ConsumerRecord<byte[], byte[]>> dead =
                kafka.read(deadLetters, LIMIT, records -> records.size() == poison.size() + 2);
        assertEquals(poison.size() + 2, dead.size());
        List<String> values = List.copyOf(poison.keySet());
        for (int i = 0; i < values.size(); i++) {
            ConsumerRecord<byte[], byte[]> letter = dead.get(i);
            assertArrayEquals(bytes("k"), letter.key());
            assertArrayEquals(bytes(values.get(i)), letter.value());
            assertEquals(Long.toString(yesterday), header(letter, "dead-letter-timestamp"));
            assertTrue(letter.timestamp() > yesterday);
            assertEquals("kept", header(letter, "note"));
            assertEquals(poison.get(values.get(i)), header(letter, "dead-letter-code"));
            assertEquals(KafkaBroker.REQUESTS, header(letter, "dead-letter-topic"));
            assertTrue(!header(letter, "dead-letter-reason").isEmpty());
        }
        assertTrue(header(dead.get(values.size()), "dead-letter-reason").contains("com.example.other"));
        assertEquals("other", header(dead.get(values.size()), "ce_id"));
        assertEquals(null, dead.getLast().value());
    }

    /** The zeros of such a record look like UTF-32. One record once blocked its partition for ever. */
    @Test
    void theFramingOfASchemaRegistryHoldsUpNobody() throws IOException {
        byte[] framed = Files.readAllBytes(Path.of("src/test/resources/cases/confluent-framed.bin"));
        send(new ProducerRecord<>(KafkaBroker.REQUESTS, bytes("k"), framed));
        String place = send("k", Map.of("model", "sentiment", "input", "A joy."));
        List<ConsumerRecord<byte[], byte[]>> read = kafka.read(answers, LIMIT, records -> records.size() == 1);
        assertEquals(place, json(read.getFirst()).get("id").textValue());
        ConsumerRecord<byte[], byte[]> letter =
                kafka.read(deadLetters, LIMIT, records -> records.size() == 1).getFirst();
        assertArrayEquals(framed, letter.value());
        assertEquals("invalid_request", header(letter, "dead-letter-code"));
        given().get("/q/health/ready")
                .then()
                .statusCode(200)
                .body("checks.find { it.name == 'kafka' }.data['softcall.classify']", is("read"));
    }

    /** The attributes that route and trace an event are copied to its answer. */
    @Test
    void anAnswerKeepsWhatBelongsToItsEvent() {
        CloudEvent event = CloudEventBuilder.from(event("1", Map.of("model", "sentiment", "input", "A joy.")))
                .withSubject("order 7")
                .withExtension("partitionkey", "ä")
                .withExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
                .build();
        send(binary("k", event));
        send(structured("k", event));
        for (ConsumerRecord<byte[], byte[]> answer : kafka.read(answers, LIMIT, records -> records.size() == 2)) {
            CloudEvent reply = KafkaMessageFactory.createReader(answer).toEvent();
            assertEquals("order 7", reply.getSubject());
            assertEquals("ä", reply.getExtension("partitionkey"));
            assertEquals(event.getExtension("traceparent"), reply.getExtension("traceparent"));
        }
    }

    @Test
    void aStoreThatIsAwayIsWaitedFor() throws InterruptedException {
        List<String> places = new ArrayList<>();
        Map<String, Object> body = Map.of("model", "sentiment", "input", "A joy.");
        places.add(send("k", body));
        assertEquals(
                1, kafka.read(answers, LIMIT, records -> records.size() == 1).size());
        store.kill();
        try {
            for (int i = 0; i < 500; i++) {
                places.add(send("k", body));
            }
            Thread.sleep(4_000);
            assertEquals(
                    1,
                    kafka.read(answers, Duration.ofSeconds(1), records -> false).size());
            assertLag("500.0");
        } finally {
            store.restart();
        }
        List<ConsumerRecord<byte[], byte[]>> read =
                kafka.read(answers, LIMIT, records -> records.size() == places.size());
        assertEquals(
                places,
                read.stream().map(record -> json(record).get("id").textValue()).toList());
        assertTrue(kafka.read(deadLetters, Duration.ofMillis(500), records -> false)
                .isEmpty());
        Thread.sleep(4_000);
        assertLag("0.0");
    }

    @Test
    void aCallerOverHttpDoesNotWaitForTheTopic() {
        int records = 3_000;
        Map<String, Object> body = Map.of("model", "sentiment", "input", "The food was cold. ".repeat(12));
        for (int i = 0; i < records; i++) {
            kafka.producer().send(new ProducerRecord<>(KafkaBroker.REQUESTS, bytes("k" + i), bytes(body)));
        }
        kafka.producer().flush();
        kafka.read(answers, LIMIT, read -> read.size() >= 500);
        given().contentType("application/json")
                .body(bytes(body))
                .post("/v1/classify")
                .then()
                .statusCode(200);
        int then = kafka.ends(KafkaBroker.ANSWERS).entrySet().stream()
                .mapToInt(end -> (int) (end.getValue() - answers.get(end.getKey())))
                .sum();
        assertTrue(then < records, "the call was answered after all records");
        assertEquals(
                records,
                kafka.read(answers, LIMIT, read -> read.size() == records).size());
    }

    @Test
    void aRequestThatIsSentTwiceIsAnsweredUnderOneId() {
        Map<String, Object> body = Map.of("model", "sentiment", "input", "A joy.");
        send(binary("k", event("twice", body)));
        send(structured("k", event("twice", body)));
        List<String> ids = kafka.read(answers, LIMIT, records -> records.size() == 2).stream()
                .map(record -> header(record, "ce_id"))
                .toList();
        assertEquals(List.of("/test#twice", "/test#twice"), ids);
    }

    private static void assertLag(String records) {
        given().get("/q/metrics")
                .then()
                .statusCode(200)
                .body(containsString("softcall_kafka_lag_records{topic=\"softcall.classify\"} " + records));
    }

    private static void expect(
            Map<Integer, List<Expected>> expected, String sent, String id, String eventId, Tiny.Row row) {
        int partition = Integer.parseInt(sent.split("/")[1]);
        expected.computeIfAbsent(partition, none -> new ArrayList<>()).add(new Expected(id, eventId, row));
    }

    private String send(String key, Map<String, Object> body) {
        return send(new ProducerRecord<>(KafkaBroker.REQUESTS, bytes(key), bytes(body)));
    }

    /** @return the partition and offset of the record */
    private String send(ProducerRecord<byte[], byte[]> record) {
        var sent = KafkaBroker.await(kafka.producer().send(record));
        return "%s/%d/%d".formatted(sent.topic(), sent.partition(), sent.offset());
    }

    private static Map<String, Object> with(Map<String, Object> body, String name, Object value) {
        Map<String, Object> more = new HashMap<>(body);
        more.put(name, value);
        return more;
    }

    private static CloudEvent event(String id, Map<String, Object> body) {
        return CloudEventBuilder.v1()
                .withId(id)
                .withType("io.softcall.classify")
                .withSource(URI.create("/test"))
                .withData("application/json", bytes(body))
                .build();
    }

    private static ProducerRecord<byte[], byte[]> binary(String key, CloudEvent event) {
        return KafkaMessageFactory.createWriter(KafkaBroker.REQUESTS, bytes(key))
                .writeBinary(event);
    }

    private static ProducerRecord<byte[], byte[]> structured(String key, CloudEvent event) {
        return KafkaMessageFactory.createWriter(KafkaBroker.REQUESTS, bytes(key))
                .writeStructured(event, JsonFormat.CONTENT_TYPE);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] bytes(Map<String, Object> body) {
        try {
            return JSON.writeValueAsBytes(body);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static JsonNode json(ConsumerRecord<byte[], byte[]> record) {
        try {
            return JSON.readTree(record.value());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
        return new String(record.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
    }
}
