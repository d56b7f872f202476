package io.softcall.api.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.kafka.KafkaMessageFactory;
import io.quarkus.test.common.ResourceArg;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.softcall.KafkaBroker;
import io.softcall.S3Server;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.core.sync.RequestBody;

/** Storage events on a topic, with a real broker and a real S3 server: their effects and their replies. */
@QuarkusTest
@WithTestResource(
        value = S3Server.class,
        initArgs = {
            @ResourceArg(name = "softcall.jobs.output", value = "s3://softcall-tests/results"),
            @ResourceArg(name = "softcall.jobs.buckets", value = "softcall-tests"),
            @ResourceArg(name = "softcall.jobs.keys", value = "in/*"),
            @ResourceArg(name = "softcall.kafka.files", value = KafkaBroker.FILES),
        })
@WithTestResource(KafkaBroker.class)
class KafkaJobsTest {

    private static final JsonMapper JSON = new JsonMapper();
    private static final Duration LIMIT = Duration.ofSeconds(30);
    private static final String ROW = "{\"id\": %d, \"task\": \"sentiment\", \"text\": \"A joy.\"}\n";

    KafkaBroker kafka;
    S3Server store;

    private Map<TopicPartition, Long> told;
    private Map<TopicPartition, Long> deadLetters;

    @BeforeEach
    void readFromHereOn() {
        told = kafka.ends(KafkaBroker.JOBS);
        deadLetters = kafka.ends(KafkaBroker.DEAD_LETTERS);
    }

    @Test
    void aFileIsClassifiedAndItsEndIsTold() throws IOException {
        String etag = put("in/a b.jsonl", ROW.formatted(1) + ROW.formatted(2) + "{\n");
        send(created("softcall-tests", "in/a+b.jsonl"));
        CloudEvent event = event(told(1).getFirst());
        assertEquals("io.softcall.job.completed", event.getType());
        assertEquals(URI.create("softcall"), event.getSource());
        assertEquals("in/a b.jsonl/" + etag, event.getId());
        assertEquals("in/a b.jsonl", event.getSubject());
        JsonNode report = JSON.readTree(event.getData().toBytes());
        assertEquals(3, report.get("rows").intValue());
        assertEquals(1, report.get("errors").intValue());
        String part = store.client()
                .getObjectAsBytes(request ->
                        request.bucket("softcall-tests").key("results/in/a b.jsonl/" + etag + "/part-00000.jsonl"))
                .asUtf8String();
        assertEquals(3, part.lines().count());
    }

    @Test
    void theSameEventAgainTellsTheSameEnd() {
        put("in/twice.jsonl", ROW.formatted(1));
        send(created("softcall-tests", "in/twice.jsonl"));
        send(created("softcall-tests", "in/twice.jsonl"));
        List<ConsumerRecord<byte[], byte[]>> records = told(2);
        assertEquals(event(records.get(0)).getId(), event(records.get(1)).getId());
    }

    @Test
    void aBadFileIsToldAsFailed() {
        put("in/bad.parquet", "no Parquet");
        send(created("softcall-tests", "in/bad.parquet"));
        assertEquals("io.softcall.job.failed", event(told(1).getFirst()).getType());
    }

    @Test
    void eachOfSeveralFilesIsToldByAnEventOfItsOwn() throws IOException {
        put("in/one.jsonl", ROW.formatted(1));
        put("in/two.jsonl", ROW.formatted(2));
        String one = created("softcall-tests", "in/one.jsonl");
        String refused = created("not-listed", "in/x.jsonl");
        String two = created("softcall-tests", "in/two.jsonl");
        send("{\"Records\": [%s, %s, %s]}".formatted(one, refused, two));
        List<CloudEvent> events = told(3).stream().map(KafkaJobsTest::event).toList();
        assertEquals(
                List.of("io.softcall.job.completed", "io.softcall.job.failed", "io.softcall.job.completed"),
                events.stream().map(CloudEvent::getType).toList());
        assertEquals(
                List.of("in/one.jsonl", "in/x.jsonl", "in/two.jsonl"),
                events.stream().map(CloudEvent::getSubject).toList());
        assertEquals(
                "forbidden",
                JSON.readTree(events.get(1).getData().toBytes())
                        .at("/error/code")
                        .textValue());
    }

    @Test
    void anEventThatIsWrappedInACloudEvent() {
        put("in/wrapped.jsonl", ROW.formatted(1));
        CloudEvent event = CloudEventBuilder.v1()
                .withId("1")
                .withType("dev.knative.kafka.event")
                .withSource(URI.create("/test"))
                .withData(
                        "application/json",
                        created("softcall-tests", "in/wrapped.jsonl").getBytes(StandardCharsets.UTF_8))
                .build();
        KafkaBroker.await(kafka.producer()
                .send(KafkaMessageFactory.createWriter(KafkaBroker.FILES, new byte[0])
                        .writeBinary(event)));
        assertEquals("in/wrapped.jsonl", event(told(1).getFirst()).getSubject());
    }

    @Test
    void whatNobodyCanDoBecomesADeadLetterAndWhatIsOfNoConcernNothing() {
        send("{");
        send("{\"Event\": \"s3:TestEvent\"}");
        send(created("softcall-tests", "in/gone.jsonl").replace("ObjectCreated:Put", "ObjectRemoved:Delete"));
        put("elsewhere/x.jsonl", ROW.formatted(1));
        send(created("softcall-tests", "elsewhere/x.jsonl"));
        send(created("not-listed", "in/x.jsonl"));
        put("in/last.jsonl", ROW.formatted(1));
        send(created("softcall-tests", "in/last.jsonl"));
        assertEquals("in/last.jsonl", event(told(1).getFirst()).getSubject());
        List<String> codes = kafka.read(deadLetters, LIMIT, records -> records.size() == 2).stream()
                .map(letter -> new String(
                        letter.headers().lastHeader("dead-letter-code").value(), StandardCharsets.UTF_8))
                .toList();
        assertEquals(List.of("invalid_request", "forbidden"), codes);
    }

    private static String created(String bucket, String key) {
        return """
                {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "%s"}, "object": {"key": "%s"}}}]}""".formatted(bucket, key);
    }

    private String put(String key, String content) {
        return store.client()
                .putObject(request -> request.bucket("softcall-tests").key(key), RequestBody.fromString(content))
                .eTag()
                .replace("\"", "");
    }

    /** Sends an event to one partition, so that the next events wait for it. */
    private void send(String event) {
        KafkaBroker.await(kafka.producer()
                .send(new ProducerRecord<>(KafkaBroker.FILES, 0, null, event.getBytes(StandardCharsets.UTF_8))));
    }

    private List<ConsumerRecord<byte[], byte[]>> told(int events) {
        List<ConsumerRecord<byte[], byte[]>> records = kafka.read(told, LIMIT, read -> read.size() >= events);
        assertEquals(events, records.size());
        assertTrue(records.stream().allMatch(record -> record.topic().equals(KafkaBroker.JOBS)));
        return records;
    }

    private static CloudEvent event(ConsumerRecord<byte[], byte[]> record) {
        return KafkaMessageFactory.createReader(record).toEvent();
    }
}
