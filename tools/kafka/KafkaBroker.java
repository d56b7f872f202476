import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import kafka.Kafka;
import kafka.tools.StorageTool;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A Kafka broker of one node, its own controller (KRaft), on 127.0.0.1. README.md beside this file says more. */
final class KafkaBroker {

    private static final int READY_LIMIT_MS = 60_000;
    private static final Set<String> OPTIONS = Set.of("--port", "--data", "--topics", "--partitions");

    private KafkaBroker() {}

    public static void main(String... arguments) throws Exception {
        Map<String, String> options = options(arguments);
        int port = Integer.parseInt(options.get("--port"));
        int partitions = Integer.parseInt(options.get("--partitions"));
        Path data = Files.createDirectories(Path.of(options.get("--data")).toAbsolutePath());
        String address = "127.0.0.1:" + (port == 0 ? freePort() : port);
        String properties = properties(data, address, "127.0.0.1:" + freePort()).toString();
        if (!Files.exists(data.resolve("log/meta.properties"))) {
            String cluster = Uuid.randomUuid().toString();
            int status = StorageTool.execute(
                    new String[] {"format", "--cluster-id", cluster, "--config", properties}, System.err);
            if (status != 0) {
                System.exit(1);
            }
        }
        // It ends with the process, or ends it.
        Thread.ofPlatform().name("broker").start(() -> Kafka.main(new String[] {properties}));
        createTopics(address, List.of(options.get("--topics").split(",")), partitions);
        System.out.println("ready " + address);
    }

    private static Map<String, String> options(String... arguments) {
        Map<String, String> options = IntStream.range(0, arguments.length / 2)
                .boxed()
                .collect(Collectors.toMap(i -> arguments[2 * i], i -> arguments[2 * i + 1], (first, second) -> second));
        if (arguments.length % 2 == 1
                || !options.keySet().equals(OPTIONS)
                || !(options.get("--port") + options.get("--partitions")).matches("\\d+")) {
            System.err.println(
                    "usage: tools/kafka/start --port PORT --data FOLDER --topics NAME,NAME --partitions NUMBER");
            System.exit(2);
        }
        return options;
    }

    private static Path properties(Path data, String broker, String controller) throws IOException {
        Map<String, String> settings = Map.ofEntries(
                Map.entry("node.id", "1"),
                Map.entry("process.roles", "broker,controller"),
                Map.entry("listeners", "PLAINTEXT://" + broker + ",CONTROLLER://" + controller),
                Map.entry("controller.listener.names", "CONTROLLER"),
                Map.entry("controller.quorum.voters", "1@" + controller),
                Map.entry("log.dirs", data.resolve("log").toString()),
                Map.entry("auto.create.topics.enable", "false"),
                Map.entry("offsets.topic.replication.factor", "1"),
                Map.entry("offsets.topic.num.partitions", "1"),
                Map.entry("transaction.state.log.replication.factor", "1"),
                Map.entry("transaction.state.log.num.partitions", "1"),
                Map.entry("transaction.state.log.min.isr", "1"),
                Map.entry("share.coordinator.state.topic.replication.factor", "1"),
                Map.entry("share.coordinator.state.topic.min.isr", "1"),
                Map.entry("group.initial.rebalance.delay.ms", "0"));
        String lines = settings.entrySet().stream()
                .map(entry -> entry.getKey() + "=" + entry.getValue())
                .sorted()
                .collect(Collectors.joining("\n", "", "\n"));
        return Files.writeString(data.resolve("server.properties"), lines);
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    /**
     * Creates the topics that are missing, and waits until this broker leads each partition. A broker says that a topic is
     * created a moment before that: a producer that has several requests in flight may then lose the first of them for good
     * (KAFKA-15591).
     */
    private static void createTopics(String address, List<String> topics, int partitions) {
        Map<String, Object> client = Map.of(
                "bootstrap.servers", address,
                "default.api.timeout.ms", READY_LIMIT_MS,
                "request.timeout.ms", READY_LIMIT_MS,
                "reconnect.backoff.max.ms", 100);
        try (Admin admin = Admin.create(client);
                Consumer<byte[], byte[]> consumer =
                        new KafkaConsumer<>(client, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            Set<String> there = admin.listTopics().names().get();
            admin.createTopics(topics.stream()
                            .filter(topic -> !there.contains(topic))
                            .map(topic -> new NewTopic(topic, partitions, (short) 1))
                            .toList())
                    .all()
                    .get();
            // Only its leader knows where a partition ends.
            consumer.endOffsets(topics.stream()
                    .flatMap(topic -> IntStream.range(0, partitions).mapToObj(i -> new TopicPartition(topic, i)))
                    .toList());
        } catch (ExecutionException | InterruptedException | KafkaException e) {
            System.err.println("the broker does not lead " + topics + " after " + READY_LIMIT_MS + " ms: " + e);
            Runtime.getRuntime().halt(1);
        }
    }
}
