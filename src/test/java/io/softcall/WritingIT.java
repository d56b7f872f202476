package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** The packaged server while it writes text: when it stops, and when its callers go. */
class WritingIT {

    private static final Map<String, String> SETTINGS =
            Map.of("softcall.base.serve-as", "base", "softcall.generation.max-tokens", "900");

    private static String body(int tokens) {
        return ("{\"model\": \"base\", \"prompt\": \"a\", \"stream\": true, \"ignore_eos\": true, \"temperature\": 0,"
                        + " \"max_tokens\": %d}")
                .formatted(tokens);
    }

    private static HttpResponse<InputStream> stream(HttpClient client, URI server, int tokens)
            throws IOException, InterruptedException {
        return client.send(
                HttpRequest.newBuilder(server.resolve("/v1/completions"))
                        .header("content-type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body(tokens)))
                        .build(),
                HttpResponse.BodyHandlers.ofInputStream());
    }

    /** What has begun is finished, or ends with an error that says why; a caller who does not read holds nothing up. */
    @Test
    void aServerThatStopsEndsItsStreams() throws Exception {
        try (PackagedServer server = new PackagedServer(SETTINGS);
                HttpClient client = HttpClient.newHttpClient();
                Socket neverReads = connect(server.uri());
                ExecutorService readers = Executors.newVirtualThreadPerTaskExecutor()) {
            send(neverReads, body(900));
            List<Future<String>> streams = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                HttpResponse<InputStream> answer = stream(client, server.uri(), 900);
                assertEquals(200, answer.statusCode());
                streams.add(readers.submit(() -> new String(answer.body().readAllBytes(), StandardCharsets.UTF_8)));
            }
            server.signal("TERM");
            for (Future<String> stream : streams) {
                String events = stream.get().strip();
                assertTrue(
                        events.endsWith("data: [DONE]") || events.contains("\"type\":\"stopping\""),
                        events.substring(Math.max(0, events.length() - 300)));
            }
            assertEquals(143, server.awaitEnd(15), () -> String.join("\n", server.log()));
        }
    }

    /** Callers who hang up at any moment leave nothing behind. */
    @Test
    void callersWhoHangUpFreeTheirPlaces() throws Exception {
        Random random = new Random(1);
        try (PackagedServer server = new PackagedServer(SETTINGS);
                HttpClient client = HttpClient.newHttpClient();
                ExecutorService callers = Executors.newFixedThreadPool(8)) {
            String whole = new String(stream(client, server.uri(), 20).body().readAllBytes(), StandardCharsets.UTF_8);
            List<Future<?>> gone = new ArrayList<>();
            for (int i = 0; i < 1_000; i++) {
                int millis = random.nextInt(12);
                gone.add(callers.submit(() -> {
                    try (Socket socket = connect(server.uri())) {
                        send(socket, body(900));
                        Thread.sleep(millis);
                    }
                    return null;
                }));
            }
            for (Future<?> caller : gone) {
                caller.get();
            }
            awaitZero(client, server.uri(), "softcall_generation_answers");
            awaitZero(client, server.uri(), "softcall_generation_kv_bytes");
            String after = new String(stream(client, server.uri(), 20).body().readAllBytes(), StandardCharsets.UTF_8);
            assertEquals(texts(whole), texts(after));
        }
    }

    private static Socket connect(URI server) throws IOException {
        return new Socket(server.getHost(), server.getPort());
    }

    private static void send(Socket socket, String body) throws IOException {
        socket.getOutputStream()
                .write(("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
                                + body.length() + "\r\n\r\n" + body)
                        .getBytes(StandardCharsets.US_ASCII));
    }

    /** Returns the events of a stream without their ids and times. */
    private static List<String> texts(String events) {
        return events.lines()
                .map(line -> line.replaceAll(".*\"text\":(\"[^\"]*\").*", "$1"))
                .toList();
    }

    private static void awaitZero(HttpClient client, URI server, String gauge) throws Exception {
        String line = "";
        for (int i = 0; i < 500 && !line.endsWith(" 0.0"); i++) {
            Thread.sleep(20);
            line = client.send(
                            HttpRequest.newBuilder(server.resolve("/q/metrics")).build(),
                            HttpResponse.BodyHandlers.ofString())
                    .body()
                    .lines()
                    .filter(each -> each.startsWith(gauge))
                    .findFirst()
                    .orElseThrow();
        }
        assertTrue(line.endsWith(" 0.0"), line);
    }
}
