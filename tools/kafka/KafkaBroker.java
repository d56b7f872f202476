import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import kafka.Kafka;
import kafka.tools.StorageTool;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.Uuid;

/** A Kafka broker of one node, its own controller (KRaft), on 127.0.0.1. README.md beside this file says more. */
final class KafkaBroker {

    private static final int READY_LIMIT_S = 60;

    private KafkaBroker() {}

    public static void main(String... arguments) throws Exception {
        if (arguments.length != 4 || !arguments[0].equals("--port") || !arguments[2].equals("--data")) {
            System.err.println("usage: tools/kafka/start --port PORT --data FOLDER");
            System.exit(2);
        }
        int port = Integer.parseInt(arguments[1]);
        Path data = Files.createDirectories(Path.of(arguments[3]).toAbsolutePath());
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
        awaitAnswer(address);
        System.out.println("ready " + address);
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

    private static void awaitAnswer(String address) throws ExecutionException, InterruptedException {
        Map<String, Object> client = Map.of(
                "bootstrap.servers", address,
                "default.api.timeout.ms", READY_LIMIT_S * 1_000,
                "request.timeout.ms", READY_LIMIT_S * 1_000,
                "reconnect.backoff.max.ms", 100);
        try (Admin admin = Admin.create(client)) {
            admin.describeCluster().nodes().get();
        } catch (ExecutionException e) {
            System.err.println("the broker did not answer within " + READY_LIMIT_S + " s: " + e.getCause());
            Runtime.getRuntime().halt(1);
        }
    }
}
