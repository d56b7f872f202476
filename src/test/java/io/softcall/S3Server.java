package io.softcall;

import io.quarkus.test.common.QuarkusTestResourceLifecycleManager;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;

/** A real S3 server with the tiny tasks, started by the repository's script. Tests get it injected by its type. */
public final class S3Server implements QuarkusTestResourceLifecycleManager {

    public static final String BUCKET = "softcall-tests";
    public static final String PREFIX = "some/prefix/";
    private static final String ACCESS_KEY = "test";
    private static final String SECRET_KEY = "testsecret";

    private Map<String, String> arguments = Map.of();
    private ScratchFolder folder;
    private Process process;
    private URI endpoint;
    private S3Client client;

    @Override
    public void init(Map<String, String> initArgs) {
        arguments = initArgs;
    }

    @Override
    public Map<String, String> start() {
        try {
            folder = ScratchFolder.named("s3");
            run(0);
            client = S3Client.builder()
                    .endpointOverride(endpoint)
                    .region(Region.US_EAST_1)
                    .forcePathStyle(true)
                    .credentialsProvider(
                            StaticCredentialsProvider.create(AwsBasicCredentials.create(ACCESS_KEY, SECRET_KEY)))
                    .build();
            client.createBucket(request -> request.bucket(BUCKET));
            for (String task : Tiny.TASKS) {
                put(task, Tiny.artifact(task));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Map<String, String> config = new TreeMap<>(Tiny.SETTINGS);
        config.putAll(Map.of(
                "softcall.store.uri",
                "s3://" + BUCKET + "/" + PREFIX,
                "aws.endpointUrl",
                endpoint.toString(),
                "aws.accessKeyId",
                ACCESS_KEY,
                "aws.secretAccessKey",
                SECRET_KEY));
        config.putAll(arguments);
        // The AWS SDK reads only its own configuration, and that of this process if the server runs in it.
        config.keySet().stream().filter(S3Server::isForAws).forEach(name -> System.setProperty(name, config.get(name)));
        return config;
    }

    private static boolean isForAws(String name) {
        return name.startsWith("aws.");
    }

    private void run(int port) throws IOException {
        process = new ProcessBuilder(
                        Path.of("tools/s3/start").toAbsolutePath().toString(),
                        "--port",
                        Integer.toString(port),
                        "--data",
                        folder.path().resolve("data").toString(),
                        "--access-key",
                        ACCESS_KEY,
                        "--secret-key",
                        SECRET_KEY,
                        "--log",
                        accessLog().toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        var out = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        String line = out.readLine();
        if (line == null || !line.startsWith("ready ")) {
            throw new IOException("tools/s3/start did not come up: " + line);
        }
        endpoint = URI.create(line.substring("ready ".length()));
    }

    /** Stores a task's artifact. */
    public void put(String task, byte[] artifact) {
        client.putObject(request -> request.bucket(BUCKET).key(key(task)), RequestBody.fromBytes(artifact));
    }

    /** Stores a task's artifact; returns the new version. */
    public String overwrite(String task, byte[] artifact) {
        return client.putObject(request -> request.bucket(BUCKET).key(key(task)), RequestBody.fromBytes(artifact))
                .eTag()
                .replace("\"", "");
    }

    /** Stores an object that is not a task. */
    public S3Client client() {
        return client;
    }

    public void delete(String task) {
        client.deleteObject(request -> request.bucket(BUCKET).key(key(task)));
    }

    private static String key(String task) {
        return PREFIX + task + "/adapter_model.safetensors";
    }

    /** Ends the server's process, as a crash does. */
    public void kill() {
        process.destroyForcibly();
        process.onExit().join();
    }

    /** Starts the server again, at the same address and with the same data. */
    public void restart() {
        try {
            run(endpoint.getPort());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Suspends the server's process, so that connections open but nothing answers. */
    public void pause() {
        signal("-STOP");
    }

    public void resume() {
        signal("-CONT");
    }

    private void signal(String signal) {
        try {
            int status = new ProcessBuilder("kill", signal, Long.toString(process.pid()))
                    .start()
                    .waitFor();
            if (status != 0) {
                throw new IllegalStateException("kill " + signal + " failed");
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Returns the statuses of the GETs of a task's artifact from the server's own access log. */
    public List<Integer> statuses(String task) {
        List<Integer> statuses = new ArrayList<>();
        try {
            for (String line : Files.readAllLines(accessLog())) {
                String[] fields = line.split(" ");
                if (fields[1].equals("GET") && fields[2].startsWith("/" + BUCKET + "/" + key(task))) {
                    statuses.add(Integer.parseInt(fields[4]));
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return statuses;
    }

    private Path accessLog() {
        return folder.path().resolve("access.log");
    }

    @Override
    public void stop() {
        System.getProperties().stringPropertyNames().stream()
                .filter(S3Server::isForAws)
                .forEach(System::clearProperty);
        if (process != null) {
            kill();
        }
        if (folder != null) {
            folder.close();
        }
    }

    @Override
    public void inject(TestInjector injector) {
        injector.injectIntoFields(this, new TestInjector.MatchesType(S3Server.class));
    }
}
