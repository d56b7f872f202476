package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.Socket;
import java.net.SocketException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** The connections of the packaged server: how it ends them when it stops, and which ones it closes. */
class ConnectionsIT {

    private static final String BODY = "{\"model\": \"sentiment\", \"input\": \"A joy.\"}";
    private static final int CALLERS = 8;

    /** Calls an instance as a load balancer does. */
    private static HttpResponse<String> call(HttpClient client, URI server) throws IOException, InterruptedException {
        return client.send(
                HttpRequest.newBuilder(server.resolve("/v1/classify"))
                        .header("content-type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(BODY))
                        .build(),
                HttpResponse.BodyHandlers.ofString());
    }

    /**
     * Simulates a rolling update. Callers go to the next instance if one refuses a connection or answers 503. No call is lost
     * or cut off.
     */
    @Test
    void aServerThatStopsLosesNoCall() throws Exception {
        try (PackagedServer first = new PackagedServer(Map.of());
                PackagedServer second = new PackagedServer(Map.of());
                ExecutorService callers = Executors.newFixedThreadPool(CALLERS)) {
            AtomicBoolean ended = new AtomicBoolean();
            AtomicInteger answered = new AtomicInteger();
            List<Future<Integer>> turnedAway = new ArrayList<>();
            for (int i = 0; i < CALLERS; i++) {
                turnedAway.add(callers.submit(() -> callUntil(ended, answered, first.uri(), second.uri())));
            }
            awaitMore(answered);
            first.signal("TERM");
            assertEquals(143, first.awaitEnd(15), () -> String.join("\n", first.log()));
            awaitMore(answered);
            ended.set(true);
            int away = 0;
            for (Future<Integer> caller : turnedAway) {
                away += caller.get(30, TimeUnit.SECONDS);
            }
            assertTrue(away > 0, "nobody was turned away");
            assertFalse(String.join("\n", first.log()).contains("ERROR"), () -> String.join("\n", first.log()));
        }
    }

    /** Waits until several more calls of each caller were answered, however slow the machine is. */
    private static void awaitMore(AtomicInteger answered) throws InterruptedException {
        int wanted = answered.get() + 5 * CALLERS;
        for (int i = 0; i < 6_000 && answered.get() < wanted; i++) {
            Thread.sleep(10);
        }
        assertTrue(answered.get() >= wanted, () -> "answered: " + answered);
    }

    /** @return how many calls were turned away before they were answered */
    private static int callUntil(AtomicBoolean ended, AtomicInteger answered, URI... servers) throws Exception {
        int turnedAway = 0;
        try (HttpClient client =
                HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()) {
            int server = 0;
            while (!ended.get()) {
                try {
                    HttpResponse<String> answer = call(client, servers[server]);
                    if (answer.statusCode() == 200) {
                        answered.incrementAndGet();
                        continue;
                    }
                    assertEquals(503, answer.statusCode(), answer.body());
                    assertTrue(answer.body().contains("\"stopping\""), answer.body());
                    assertEquals("1", answer.headers().firstValue("retry-after").orElse(""));
                    assertEquals(
                            "close", answer.headers().firstValue("connection").orElse(""));
                } catch (java.net.ConnectException e) {
                    // This instance has ended.
                } catch (IOException e) {
                    // The server has closed an idle connection between two calls. HTTP allows a retry then.
                    assertTrue(isClosedBetweenCalls(e), e.toString());
                }
                turnedAway++;
                server = (server + 1) % servers.length;
            }
        }
        return turnedAway;
    }

    private static boolean isClosedBetweenCalls(IOException e) {
        return String.valueOf(e.getMessage()).contains("header parser received no bytes")
                || e instanceof SocketException
                || e.getCause() instanceof SocketException;
    }

    @Test
    void aServerThatStopsIsNotReadyAndSaysSo() throws Exception {
        try (PackagedServer server = new PackagedServer(Map.of());
                HttpClient client = HttpClient.newBuilder()
                        .version(HttpClient.Version.HTTP_1_1)
                        .build();
                Socket slow = new Socket("localhost", server.uri().getPort())) {
            // A call is in progress, because its body arrives slowly.
            String head = "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
                    + BODY.length() + "\r\n\r\n";
            slow.getOutputStream().write((head + BODY.substring(0, 10)).getBytes(StandardCharsets.US_ASCII));
            assertEquals(200, call(client, server.uri()).statusCode());
            server.signal("TERM");
            HttpResponse<String> ready = client.send(
                    HttpRequest.newBuilder(server.uri().resolve("/q/health/ready"))
                            .build(),
                    HttpResponse.BodyHandlers.ofString());
            assertEquals(503, ready.statusCode(), ready.body());
            assertEquals(503, call(client, server.uri()).statusCode());
            slow.getOutputStream().write(BODY.substring(10).getBytes(StandardCharsets.US_ASCII));
            slow.setSoTimeout(10_000);
            String answer = new String(slow.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertTrue(answer.startsWith("HTTP/1.1 200"), answer);
            assertTrue(answer.toLowerCase(java.util.Locale.ROOT).contains("connection: close"), answer);
            assertEquals(143, server.awaitEnd(15));
        }
    }

    /** These requests do not reach a router. A handler behind Netty's decoder answers them. */
    @Test
    void whatIsNoHttpIsToldSo() throws Exception {
        try (PackagedServer server = new PackagedServer(Map.of())) {
            for (String request : List.of(
                    "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{}",
                    "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n{}",
                    "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
                    "GET /v1/models HTTP/1.1\nHost: x\n\n",
                    "GET /v1/models HTTP/1.1\r\nHost: x\r\nA\0b: c\r\n\r\n",
                    "\u0016\u0003\u0001\u0002 garbage\r\n\r\n")) {
                assertRefused("not HTTP/1.1", send(server, request));
            }
            String longLine = "GET /v1/models?after=" + "x".repeat(10_000) + " HTTP/1.1\r\nHost: x\r\n\r\n";
            assertRefused("longer than accepted", send(server, longLine));
            String longHeader = "GET /v1/models HTTP/1.1\r\nHost: x\r\nA: " + "x".repeat(100_000) + "\r\n\r\n";
            assertRefused("longer than accepted", send(server, longHeader));
            // The answer comes in order, after that to the previous request on the same connection.
            String two = send(server, "GET /q/health/live HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nbad\0\r\n\r\n");
            assertTrue(two.matches("(?s)HTTP/1.1 200 .*HTTP/1.[01] 400 .*"), two);
        }
    }

    private static void assertRefused(String why, String answer) {
        assertTrue(answer.startsWith("HTTP/1.1 400 "), answer);
        assertTrue(answer.contains("\"type\":\"invalid_request\"") && answer.contains(why), answer);
        assertTrue(answer.toLowerCase(java.util.Locale.ROOT).contains("connection: close"), answer);
    }

    /** @return everything that the server sends until it closes the connection */
    private static String send(PackagedServer server, String request) throws IOException {
        try (Socket socket = new Socket("localhost", server.uri().getPort())) {
            socket.setSoTimeout(10_000);
            socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    /** If each byte restarted the limit, one byte now and then would keep a connection open for ever. */
    @Test
    void headersThatDoNotEndAreCutOff() throws Exception {
        try (PackagedServer server = new PackagedServer(Map.of("softcall.http.header-time", "1s"));
                Socket idle = new Socket("localhost", server.uri().getPort());
                Socket dripping = new Socket("localhost", server.uri().getPort());
                Socket second = new Socket("localhost", server.uri().getPort())) {
            String request = "GET /q/health/live HTTP/1.1\r\nHost: x\r\n\r\n";
            second.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            second.setSoTimeout(10_000);
            assertTrue(second.getInputStream().read() > 0);
            boolean cut = false;
            for (int i = 0; i < 100 && !cut; i++) {
                try {
                    dripping.getOutputStream().write(request.charAt(i % 10));
                    // The second request on a connection has the same time limit as the first.
                    second.getOutputStream().write('G');
                    Thread.sleep(100);
                } catch (SocketException e) {
                    cut = true;
                }
            }
            assertTrue(cut, "the connections are still open");
            idle.setSoTimeout(10_000);
            assertEquals(-1, idle.getInputStream().read());
            dripping.setSoTimeout(10_000);
            assertClosed(dripping);
            assertClosed(second);
        }
    }

    private static void assertClosed(Socket socket) throws IOException {
        try {
            socket.setSoTimeout(10_000);
            while (socket.getInputStream().read() >= 0) {}
        } catch (SocketException e) {
            // The server closed the connection while this test was writing.
        }
    }

    @Test
    void connectionsAreCounted() throws Exception {
        try (PackagedServer server = new PackagedServer(Map.of("softcall.http.max-connections", "4"))) {
            List<Socket> open = new ArrayList<>();
            int closed = 0;
            for (int i = 0; i < 8; i++) {
                Socket socket = new Socket("localhost", server.uri().getPort());
                socket.setSoTimeout(500);
                open.add(socket);
            }
            for (Socket socket : open) {
                try {
                    closed += socket.getInputStream().read() < 0 ? 1 : 0;
                } catch (java.net.SocketTimeoutException e) {
                    // The connection is still open.
                } catch (SocketException e) {
                    closed++;
                }
            }
            for (Socket socket : open) {
                socket.close();
            }
            assertEquals(4, closed);
        }
    }
}
