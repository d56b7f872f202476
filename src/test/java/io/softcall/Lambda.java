package io.softcall;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A function as it is packaged for Lambda, on the tiny base, in AWS's own runtime interface emulator. The first event starts
 * it, as in Lambda.
 */
public final class Lambda implements AutoCloseable {

    private static final JsonMapper JSON = new JsonMapper();
    private static final Duration START = Duration.ofSeconds(60);
    private static final String INVOCATIONS = "http://127.0.0.1:%d/2015-03-31/functions/function/invocations";

    private final Process process;
    private final Path log;
    private final int port;

    /**
     * @param build the Maven profile: {@code lambda-http} or {@code lambda-events}
     * @param environment in addition to that of the tiny base
     */
    public Lambda(String build, Map<String, String> environment) throws IOException {
        Path program = program(Path.of("target", build).toAbsolutePath());
        port = freePort();
        log = Files.createTempFile("softcall-" + build, ".log");
        ProcessBuilder builder = new ProcessBuilder(
                        Path.of("tools/lambda/emulator").toAbsolutePath().toString(),
                        "--runtime-interface-emulator-address",
                        "127.0.0.1:" + port,
                        "--runtime-api-address",
                        "127.0.0.1:" + freePort(),
                        program.toString())
                .redirectErrorStream(true)
                .redirectOutput(log.toFile());
        builder.environment().putAll(Tiny.environment(Tiny.SETTINGS));
        builder.environment().put("AWS_REGION", "us-east-1");
        builder.environment().putAll(environment);
        process = builder.start();
    }

    /** Returns the start script, or with {@code -Dlambda.native=true} the native executable. */
    private static Path program(Path build) {
        boolean isNative = Boolean.getBoolean("lambda.native");
        Path program = build.resolve("quarkus-app").resolve(isNative ? "quarkus-run" : "softcall-server");
        if (!Files.exists(program)) {
            throw new IllegalStateException("there is no %s: run `%s` first"
                    .formatted(
                            program,
                            isNative ? "./mvnw package -DskipTests -Pnative," + build.getFileName() : "make lambda"));
        }
        return program;
    }

    static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    /** Sends the function an event. Returns its answer, or its reported error ({@code errorType}, {@code errorMessage}). */
    public JsonNode invoke(Object event) throws IOException, InterruptedException {
        return JSON.readTree(invokeRaw(JSON.writeValueAsString(event)));
    }

    /** Sends the function an event as raw text, and returns the raw answer. */
    public String invokeRaw(String event) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(INVOCATIONS.formatted(port)))
                .timeout(START)
                .POST(HttpRequest.BodyPublishers.ofString(event))
                .build();
        try (HttpClient client = HttpClient.newHttpClient()) {
            long end = System.nanoTime() + START.toNanos();
            while (true) {
                try {
                    return client.send(request, HttpResponse.BodyHandlers.ofString())
                            .body();
                } catch (java.net.ConnectException e) {
                    // The emulator is still being built, or is starting.
                    if (!process.isAlive() || System.nanoTime() > end) {
                        throw new IOException("the emulator does not listen: " + Files.readString(log), e);
                    }
                    TimeUnit.MILLISECONDS.sleep(50);
                }
            }
        }
    }

    /** Returns the output of the emulator and the function. */
    public String log() throws IOException {
        return Files.readString(log);
    }

    /** Ends the emulator and the function, which is its child process. */
    @Override
    public void close() throws IOException {
        List<ProcessHandle> children = process.descendants().toList();
        process.destroyForcibly();
        children.forEach(ProcessHandle::destroyForcibly);
        process.onExit().join();
        Files.delete(log);
    }
}
