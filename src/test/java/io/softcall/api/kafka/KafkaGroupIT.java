package io.softcall.api.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.KafkaBroker;
import io.softcall.PackagedServer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Two processes of the packaged server in one group. The second one joins under load, and the first one is killed half way. */
class KafkaGroupIT {

    private static final int HALF = 3_000;
    private static final Duration LIMIT = Duration.ofSeconds(60);

    private final KafkaBroker kafka = new KafkaBroker();
    private final List<Process> servers = new ArrayList<>();

    @BeforeEach
    void startTheBroker() {
        kafka.start();
    }

    @AfterEach
    void stop() {
        servers.forEach(Process::destroyForcibly);
        kafka.stop();
    }

    @Test
    void everyRequestHasOneFinalAnswerInTheOrderOfItsPartition() throws Exception {
        Map<TopicPartition, Long> beginning = kafka.ends(KafkaBroker.ANSWERS);
        Map<Integer, List<String>> asked = new TreeMap<>();
        Process first = startServer("first");
        send(asked, 0);
        // An answer shows that the server is up.
        kafka.read(beginning, LIMIT, records -> !records.isEmpty());
        startServer("second");
        awaitMembers(2);
        send(asked, HALF);
        int alive = kafka.read(beginning, LIMIT, records -> records.size() >= HALF + HALF / 2)
                .size();
        first.destroyForcibly().waitFor();
        assertTrue(alive < 2 * HALF, "all was answered before the kill");

        List<ConsumerRecord<byte[], byte[]>> answers =
                kafka.read(beginning, LIMIT, records -> first(records).size() == 2 * HALF);
        Map<Integer, List<String>> answered = new TreeMap<>();
        first(answers).forEach((id, answer) -> answered.computeIfAbsent(answer.partition(), none -> new ArrayList<>())
                .add(id.substring(id.indexOf('#') + 1)));
        assertEquals(asked, answered);
        kafka.ends(KafkaBroker.DEAD_LETTERS).forEach((partition, end) -> assertEquals(0, end));
    }

    /** The answers of a consumer that drops ids which it has seen. */
    private static Map<String, ConsumerRecord<byte[], byte[]>> first(List<ConsumerRecord<byte[], byte[]>> answers) {
        Map<String, ConsumerRecord<byte[], byte[]>> first = new LinkedHashMap<>();
        answers.forEach(answer -> first.putIfAbsent(
                new String(answer.headers().lastHeader("ce_id").value(), StandardCharsets.UTF_8), answer));
        return first;
    }

    private void send(Map<Integer, List<String>> asked, int from) {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = from; i < from + HALF; i++) {
            String body = "{\"id\": \"%d\", \"model\": \"%s\", \"input\": \"A joy, number %d.\"}"
                    .formatted(i, i % 3 == 0 ? "acme/intent" : "sentiment", i);
            byte[] key = ("key " + i % 101).getBytes(StandardCharsets.UTF_8);
            sent.add(kafka.producer()
                    .send(new ProducerRecord<>(KafkaBroker.REQUESTS, key, body.getBytes(StandardCharsets.UTF_8))));
        }
        for (int i = 0; i < sent.size(); i++) {
            asked.computeIfAbsent(KafkaBroker.await(sent.get(i)).partition(), none -> new ArrayList<>())
                    .add(Integer.toString(from + i));
        }
    }

    /** Waits until that many members of the group have partitions. */
    private void awaitMembers(int members) throws InterruptedException {
        long end = System.nanoTime() + LIMIT.toNanos();
        long having = 0;
        while (having != members && System.nanoTime() - end < 0) {
            Thread.sleep(100);
            having = KafkaBroker.await(kafka.admin()
                            .describeConsumerGroups(List.of(KafkaBroker.GROUP))
                            .all())
                    .get(KafkaBroker.GROUP)
                    .members()
                    .stream()
                    .filter(member -> !member.assignment().topicPartitions().isEmpty())
                    .count();
        }
        assertEquals(members, having);
    }

    private Process startServer(String name) throws IOException {
        ProcessBuilder builder = PackagedServer.process();
        builder.environment()
                .putAll(Map.of(
                        "KAFKA_BOOTSTRAP_SERVERS",
                        kafka.address(),
                        // The group notices a killed member after this time.
                        "KAFKA_SESSION_TIMEOUT_MS",
                        "6000",
                        "KAFKA_HEARTBEAT_INTERVAL_MS",
                        "1000"));
        Path log = Path.of("target/kafka-" + name + ".log");
        Process server =
                builder.redirectErrorStream(true).redirectOutput(log.toFile()).start();
        servers.add(server);
        return server;
    }
}
