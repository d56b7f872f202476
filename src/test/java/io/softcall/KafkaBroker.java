package io.softcall;

import io.quarkus.test.common.QuarkusTestResourceLifecycleManager;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.Predicate;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** A real Kafka broker with Softcall's topics, started by the repository's script. Tests get it injected by its type. */
public final class KafkaBroker implements QuarkusTestResourceLifecycleManager {

    public static final String REQUESTS = "softcall.classify";
    public static final String ANSWERS = "softcall.classified";
    public static final String DEAD_LETTERS = "softcall.dead-letters";
    public static final String FILES = "softcall.files";
    public static final String JOBS = "softcall.jobs";
    public static final String GROUP = "softcall";
    public static final int PARTITIONS = 4;

    private ScratchFolder folder;
    private Process process;
    private String address;
    private Admin admin;
    private Producer<byte[], byte[]> producer;

    @Override
    public Map<String, String> start() {
        try {
            folder = ScratchFolder.named("kafka");
            Path log = folder.path().resolve("broker.log");
            process = new ProcessBuilder(
                            "tools/kafka/start",
                            "--port",
                            "0",
                            "--data",
                            folder.path().toString(),
                            "--topics",
                            String.join(",", REQUESTS, ANSWERS, DEAD_LETTERS, FILES, JOBS),
                            "--partitions",
                            Integer.toString(PARTITIONS))
                    .redirectError(log.toFile())
                    .start();
            BufferedReader out =
                    new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
            String line = out.readLine();
            if (line == null || !line.startsWith("ready ")) {
                throw new IOException("tools/kafka/start did not come up, see " + log);
            }
            address = line.substring("ready ".length());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        admin = Admin.create(client());
        producer = producer("none");
        return Map.of("kafka.bootstrap.servers", address);
    }

    public String address() {
        return address;
    }

    public Admin admin() {
        return admin;
    }

    public Producer<byte[], byte[]> producer() {
        return producer;
    }

    /** Returns a new producer, whose batches are compressed: {@code none, gzip, snappy, lz4} or {@code zstd}. */
    public Producer<byte[], byte[]> producer(String compression) {
        return new KafkaProducer<>(
                Map.of("bootstrap.servers", address, "compression.type", compression),
                new ByteArraySerializer(),
                new ByteArraySerializer());
    }

    private Map<String, Object> client() {
        return Map.of("bootstrap.servers", address);
    }

    /** Returns the current ends of the topic's partitions, from which later records are read. */
    public Map<TopicPartition, Long> ends(String topic) {
        try (Consumer<byte[], byte[]> consumer = consumer()) {
            return consumer.endOffsets(consumer.partitionsFor(topic).stream()
                    .map(info -> new TopicPartition(topic, info.partition()))
                    .toList());
        }
    }

    /** Reads a topic until enough was read, or the time limit has passed. */
    public List<ConsumerRecord<byte[], byte[]>> read(
            Map<TopicPartition, Long> from, Duration limit, Predicate<List<ConsumerRecord<byte[], byte[]>>> enough) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        try (Consumer<byte[], byte[]> consumer = consumer()) {
            consumer.assign(from.keySet());
            from.forEach(consumer::seek);
            long end = System.nanoTime() + limit.toNanos();
            while (!enough.test(records) && System.nanoTime() - end < 0) {
                consumer.poll(Duration.ofMillis(100)).forEach(records::add);
            }
        }
        return records;
    }

    private Consumer<byte[], byte[]> consumer() {
        return new KafkaConsumer<>(client(), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    public static <T> T await(Future<T> future) {
        try {
            return future.get();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void stop() {
        if (producer != null) {
            producer.close(Duration.ZERO);
        }
        if (admin != null) {
            admin.close(Duration.ZERO);
        }
        if (process != null) {
            process.destroyForcibly();
            process.onExit().join();
        }
        if (folder != null) {
            folder.close();
        }
    }

    @Override
    public void inject(TestInjector injector) {
        injector.injectIntoFields(this, new TestInjector.MatchesType(KafkaBroker.class));
    }
}
