package io.softcall;

import com.sun.net.httpserver.HttpServer;
import io.quarkus.test.common.QuarkusTestResourceLifecycleManager;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Predicate;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;

/** versitygw, an S3 server with its own form of notifications about new objects. They are kept for the test to deliver. */
public final class VersityGateway implements QuarkusTestResourceLifecycleManager {

    public static final String BUCKET = "inbox";
    private static final String KEY = "test";
    private static final String SECRET = "testsecret";
    private static final Duration LIMIT = Duration.ofSeconds(30);

    private final List<String> notifications = new CopyOnWriteArrayList<>();
    private Map<String, String> arguments = Map.of();
    private ScratchFolder folder;
    private HttpServer webhook;
    private Process process;
    private S3Client client;

    @Override
    public void init(Map<String, String> initArgs) {
        arguments = initArgs;
    }

    @Override
    public Map<String, String> start() {
        try {
            folder = ScratchFolder.named("versitygw");
            webhook = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            webhook.createContext("/", exchange -> {
                try (InputStream body = exchange.getRequestBody()) {
                    notifications.add(new String(body.readAllBytes(), StandardCharsets.UTF_8));
                }
                exchange.sendResponseHeaders(200, -1);
                exchange.close();
            });
            webhook.start();
            String endpoint = run();
            client = S3Client.builder()
                    .endpointOverride(URI.create(endpoint))
                    .region(Region.US_EAST_1)
                    .forcePathStyle(true)
                    .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create(KEY, SECRET)))
                    .build();
            createBucket();
            notifications.clear();
            Map<String, String> config = new TreeMap<>(Tiny.SETTINGS);
            config.putAll(Map.of(
                    "aws.endpointUrl",
                    endpoint,
                    "aws.accessKeyId",
                    KEY,
                    "aws.secretAccessKey",
                    SECRET,
                    "aws.region",
                    "us-east-1"));
            config.putAll(arguments);
            // The AWS SDK reads only its own configuration, so the settings are system properties too.
            config.forEach((name, value) -> {
                if (name.startsWith("aws.")) {
                    System.setProperty(name, value);
                }
            });
            return config;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private String run() throws IOException {
        Process built = new ProcessBuilder(
                        Path.of("tools/go-program").toAbsolutePath().toString(), "versitygw")
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String program = new String(built.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        int port;
        try (ServerSocket probe = new ServerSocket(0)) {
            port = probe.getLocalPort();
        }
        Path data = Files.createDirectory(folder.path().resolve("data"));
        process = new ProcessBuilder(
                        program,
                        "--port",
                        "127.0.0.1:" + port,
                        "--access",
                        KEY,
                        "--secret",
                        SECRET,
                        "--region",
                        "us-east-1",
                        "--quiet",
                        "--event-webhook-url",
                        "http://127.0.0.1:" + webhook.getAddress().getPort(),
                        "posix",
                        data.toString())
                .redirectErrorStream(true)
                .redirectOutput(folder.path().resolve("log").toFile())
                .start();
        return "http://127.0.0.1:" + port;
    }

    private void createBucket() throws IOException {
        long end = System.nanoTime() + LIMIT.toNanos();
        while (true) {
            try {
                client.createBucket(request -> request.bucket(BUCKET));
                return;
            } catch (SdkException e) {
                if (!process.isAlive() || System.nanoTime() - end > 0) {
                    throw new IOException(
                            "versitygw did not come up: "
                                    + Files.readString(folder.path().resolve("log")),
                            e);
                }
            }
        }
    }

    public S3Client client() {
        return client;
    }

    /** Waits until {@code count} wanted notifications have come, and returns them. */
    public List<String> notifications(Predicate<String> wanted, int count) throws InterruptedException {
        long end = System.nanoTime() + LIMIT.toNanos();
        while (true) {
            List<String> found = notifications.stream().filter(wanted).toList();
            if (found.size() >= count || System.nanoTime() - end > 0) {
                return found;
            }
            Thread.sleep(20);
        }
    }

    @Override
    public void stop() {
        System.getProperties().stringPropertyNames().stream()
                .filter(name -> name.startsWith("aws."))
                .forEach(System::clearProperty);
        if (process != null) {
            process.destroyForcibly();
            process.onExit().join();
        }
        if (webhook != null) {
            webhook.stop(0);
        }
        if (folder != null) {
            folder.close();
        }
    }

    @Override
    public void inject(TestInjector injector) {
        injector.injectIntoFields(this, new TestInjector.MatchesType(VersityGateway.class));
    }
}
