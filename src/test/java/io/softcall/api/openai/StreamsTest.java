package io.softcall.api.openai;

import static io.softcall.inference.generation.ScriptedGenerator.endless;
import static io.softcall.inference.generation.ScriptedGenerator.finish;
import static io.softcall.inference.generation.ScriptedGenerator.repeated;
import static io.softcall.inference.generation.ScriptedGenerator.write;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.api.CallMetrics;
import io.softcall.inference.generation.Generation.Finish;
import io.softcall.inference.generation.Generation.Piece;
import io.softcall.inference.generation.Generation.Score;
import io.softcall.inference.generation.Generation.Token;
import io.softcall.inference.generation.ScriptedGenerator;
import io.softcall.inference.generation.ScriptedGenerator.Step;
import jakarta.inject.Inject;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Streams of events, as OpenAI's clients read them, at the pace of their readers. */
@QuarkusTest
@TestProfile(ScriptedProfile.class)
class StreamsTest {

    private static final JsonMapper JSON = new JsonMapper();
    private static final String CHAT = "/v1/chat/completions";
    private static final String COMPLETIONS = "/v1/completions";
    private static final String A_CHAT =
            "{\"model\": \"t\", \"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"stream\": true%s}";
    private static final String A_COMPLETION = "{\"model\": \"t\", \"prompt\": \"a\", \"stream\": true%s}";

    /** What the kernel and Netty may hold for a caller that does not read. */
    private static final int MOST_HELD_BYTES = 16 << 20;

    private static final int PIECE_BYTES = 1_000;

    @TestHTTPResource
    URI url;

    @Inject
    ScriptedGenerator generator;

    private CallMetrics metrics;

    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    @Inject
    void metrics(MeterRegistry registry) {
        metrics = new CallMetrics(registry);
    }

    @AfterEach
    void everyAnswerIsClosed() throws InterruptedException {
        client.close();
        CallMetrics.await(0, generator::open);
    }

    private HttpResponse<Stream<String>> open(String path, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(url.resolve(path))
                .header("content-type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build();
        return client.send(request, HttpResponse.BodyHandlers.ofLines());
    }

    /** Returns the data of all events. */
    private List<String> events(String path, String body) throws Exception {
        List<String> data = new ArrayList<>();
        Iterator<String> lines = open(path, body).body().iterator();
        while (lines.hasNext()) {
            String line = lines.next();
            assertTrue(line.startsWith("data: "), line);
            assertEquals("", lines.next());
            data.add(line.substring("data: ".length()));
        }
        return data;
    }

    private List<JsonNode> chunks(String path, String body) throws Exception {
        List<String> events = events(path, body);
        assertEquals("[DONE]", events.getLast());
        List<JsonNode> chunks = new ArrayList<>();
        for (String event : events.subList(0, events.size() - 1)) {
            chunks.add(JSON.readTree(event));
        }
        return chunks;
    }

    @Test
    void aChat() throws Exception {
        generator.script(write(0, "Grüße"), write(0, ""), write(0, "\n文化 😀"), finish(0, "", Finish.STOP));
        List<JsonNode> chunks = chunks(CHAT, A_CHAT.formatted(""));
        assertEquals(
                List.of(
                        "{\"role\":\"assistant\",\"content\":\"\"}",
                        "{\"content\":\"Grüße\"}",
                        "{\"content\":\"\\n文化 😀\"}",
                        "{}"),
                chunks.stream()
                        .map(chunk -> chunk.at("/choices/0/delta").toString())
                        .toList());
        for (JsonNode chunk : chunks) {
            assertEquals("chat.completion.chunk", chunk.get("object").textValue());
            assertEquals(chunks.getFirst().get("id"), chunk.get("id"));
            assertEquals("t", chunk.get("model").textValue());
            assertEquals("v1", chunk.get("version").textValue());
            assertTrue(chunk.at("/choices/0/logprobs").isNull());
            assertFalse(chunk.has("usage"));
        }
        assertEquals("stop", chunks.getLast().at("/choices/0/finish_reason").textValue());
        assertTrue(chunks.getFirst().at("/choices/0/finish_reason").isNull());
    }

    @Test
    void completionsOfTwoPrompts() throws Exception {
        generator.script(write(1, "b"), write(0, "a"), finish(1, "B", Finish.LENGTH), finish(0, "A", Finish.STOP));
        List<JsonNode> chunks = chunks(
                COMPLETIONS, A_COMPLETION.replace("\"a\"", "[\"a\", \"b\"]").formatted(""));
        assertEquals(
                List.of(
                        "{\"index\":1,\"text\":\"b\",\"logprobs\":null,\"finish_reason\":null}",
                        "{\"index\":0,\"text\":\"a\",\"logprobs\":null,\"finish_reason\":null}",
                        "{\"index\":1,\"text\":\"B\",\"logprobs\":null,\"finish_reason\":\"length\"}",
                        "{\"index\":0,\"text\":\"A\",\"logprobs\":null,\"finish_reason\":\"stop\"}"),
                chunks.stream().map(chunk -> chunk.at("/choices/0").toString()).toList());
        assertEquals("text_completion", chunks.getFirst().get("object").textValue());
    }

    @Test
    void headersSayThatThisIsAStream() throws Exception {
        generator.script(finish(0, "a", Finish.STOP));
        HttpResponse<Stream<String>> response = open(CHAT, A_CHAT.formatted(""));
        assertEquals(200, response.statusCode());
        assertEquals(
                Optional.of("text/event-stream; charset=utf-8"),
                response.headers().firstValue("content-type"));
        assertEquals(Optional.of("no-cache"), response.headers().firstValue("cache-control"));
        assertEquals(Optional.of("chunked"), response.headers().firstValue("transfer-encoding"));
        assertEquals(Optional.of("v1"), response.headers().firstValue("x-softcall-version"));
        assertEquals(4 * 2 - 2, response.body().count());
    }

    @Test
    void theLastEventTellsTheNumbersOfTokens() throws Exception {
        generator.script(write(0, "a"), finish(0, "b", Finish.STOP));
        List<JsonNode> chunks =
                chunks(COMPLETIONS, A_COMPLETION.formatted(", \"stream_options\": {\"include_usage\": true}"));
        assertEquals(3, chunks.size());
        assertTrue(chunks.get(0).get("usage").isNull());
        assertTrue(chunks.get(1).get("usage").isNull());
        assertEquals("[]", chunks.get(2).get("choices").toString());
        assertEquals(
                "{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}",
                chunks.get(2).get("usage").toString());
    }

    @Test
    void logprobsOfAStreamContinueTheirOffsets() throws Exception {
        generator.script(
                scored("ab", Optional.empty()), scored("", Optional.empty()), scored("c", Optional.of(Finish.STOP)));
        List<JsonNode> chunks = chunks(COMPLETIONS, A_COMPLETION.formatted(", \"logprobs\": 0"));
        assertEquals("[0]", chunks.get(0).at("/choices/0/logprobs/text_offset").toString());
        assertEquals("[2]", chunks.get(1).at("/choices/0/logprobs/text_offset").toString());
        assertEquals("[2]", chunks.get(2).at("/choices/0/logprobs/text_offset").toString());
    }

    private static Step scored(String text, Optional<Finish> finish) {
        Score score = new Score(1, text, text.getBytes(StandardCharsets.UTF_8), -1);
        return new Step.Write(new Piece(0, text, List.of(new Token(1, Optional.of(score), List.of())), finish));
    }

    /** A piece leaves at once, and does not wait for the next one. */
    @Test
    void piecesArriveAsTheyAreWritten() throws Exception {
        CountDownLatch gate = new CountDownLatch(1);
        generator.script(write(0, "a"), new Step.Wait(gate), finish(0, "b", Finish.STOP));
        try (Socket socket = send(COMPLETIONS, A_COMPLETION.formatted(""))) {
            readTo("\"text\":\"a\"", socket.getInputStream());
            gate.countDown();
            readTo("\"text\":\"b\"", socket.getInputStream());
            readTo("[DONE]", socket.getInputStream());
        }
    }

    /** Reads byte by byte, and fails after the socket's timeout. */
    private static void readTo(String end, InputStream in) throws IOException {
        StringBuilder text = new StringBuilder();
        while (!text.toString().endsWith(end)) {
            int next = in.read();
            assertTrue(next >= 0, "the stream ended early");
            text.append((char) next);
        }
    }

    @Test
    void aFailureInTheMiddleIsTheLastEvent() throws Exception {
        double failed = metrics.calls("deadline_exceeded");
        generator.script(write(0, "a"), new Step.Fail(new SoftcallException(Reason.DEADLINE_EXCEEDED, "too slow")));
        List<String> events = events(COMPLETIONS, A_COMPLETION.formatted(""));
        assertEquals(2, events.size());
        assertEquals(
                "{\"error\":{\"message\":\"too slow\",\"type\":\"deadline_exceeded\",\"code\":504}}", events.get(1));
        assertEquals(failed + 1, metrics.calls("deadline_exceeded"));
    }

    @Test
    void aFailureBeforeTheFirstPieceIsAStatus() throws Exception {
        generator.script(new Step.Fail(new SoftcallException(Reason.OUT_OF_MEMORY, "no memory")));
        HttpResponse<Stream<String>> response = open(COMPLETIONS, A_COMPLETION.formatted(""));
        assertEquals(503, response.statusCode());
        assertEquals(Optional.of("application/json"), response.headers().firstValue("content-type"));
        assertEquals(
                "{\"error\":{\"message\":\"no memory\",\"type\":\"out_of_memory\",\"code\":503}}",
                response.body().findFirst().orElseThrow());
    }

    @Test
    void theConnectionServesTheNextCall() throws Exception {
        generator.script(repeated(200, write(0, "x".repeat(PIECE_BYTES)), finish(0, "", Finish.STOP)));
        for (int i = 0; i < 3; i++) {
            assertEquals(201, chunks(COMPLETIONS, A_COMPLETION.formatted("")).size());
        }
    }

    @Test
    void aCallerThatHangsUpEndsItsAnswer() throws Exception {
        double cancelled = metrics.calls("cancelled");
        generator.script(write(0, "a"), new Step.Wait(new CountDownLatch(1)), write(0, "b"));
        for (String body : List.of(A_COMPLETION.formatted(""), "{\"model\": \"t\", \"prompt\": \"a\"}")) {
            try (Socket _ = send(COMPLETIONS, body)) {
                CallMetrics.await(1, generator::open);
            }
            CallMetrics.await(0, generator::open);
        }
        CallMetrics.await(cancelled + 2, () -> metrics.calls("cancelled"));
    }

    @Test
    void anAnswerPausesWhileItsReaderPauses() throws Exception {
        int pieces = 40_000;
        double ok = metrics.calls("ok");
        generator.script(repeated(pieces, write(0, "x".repeat(PIECE_BYTES)), finish(0, "", Finish.STOP)));
        try (Socket socket = send(COMPLETIONS, A_COMPLETION.formatted(""))) {
            int before = -1;
            while (before != generator.taken()) {
                before = generator.taken();
                Thread.sleep(ScriptedProfile.SLOW_READER_MS / 4);
            }
            assertTrue(before < MOST_HELD_BYTES / PIECE_BYTES, "pieces taken: " + before);
            assertEquals(pieces, occurrences(socket.getInputStream(), pieces));
        }
        CallMetrics.await(ok + 1, () -> metrics.calls("ok"));
    }

    /** Reads to the last event. Returns how many pieces arrived whole. */
    private static int occurrences(InputStream in, int pieces) throws IOException {
        StringBuilder text = new StringBuilder();
        byte[] bytes = new byte[65_536];
        while (text.indexOf("[DONE]", Math.max(0, text.length() - 2 * bytes.length)) < 0) {
            int read = in.read(bytes);
            assertTrue(read > 0, "the stream ended early");
            text.append(new String(bytes, 0, read, StandardCharsets.ISO_8859_1));
        }
        // Chunks may begin within an event.
        String whole = text.toString().replaceAll("\r\n[0-9a-f]+\r\n", "");
        return whole.split("\"text\":\"x{%d}\"".formatted(PIECE_BYTES), -1).length - 1;
    }

    /** The connection is closed although the caller never takes what it holds. */
    @Test
    void aCallerThatDoesNotReadIsCutOff() throws Exception {
        double cancelled = metrics.calls("cancelled");
        double connections = connections();
        generator.script(endless(write(0, "x".repeat(PIECE_BYTES))));
        try (Socket _ = send(COMPLETIONS, A_COMPLETION.formatted(""))) {
            CallMetrics.await(connections + 1, this::connections);
            Thread.sleep(ScriptedProfile.SLOW_READER_MS);
            CallMetrics.await(0, generator::open);
            CallMetrics.await(cancelled + 1, () -> metrics.calls("cancelled"));
            CallMetrics.await(connections, this::connections);
        }
    }

    private double connections() {
        return metrics.metrics().get("http.server.active.connections").gauge().value();
    }

    private Socket send(String path, String body) throws IOException {
        Socket socket = new Socket();
        socket.setReceiveBufferSize(8_192);
        socket.connect(new InetSocketAddress(url.getHost(), url.getPort()));
        socket.setSoTimeout(10_000);
        socket.getOutputStream()
                .write(
                        "POST %s HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                                .formatted(path, body.length(), body)
                                .getBytes(StandardCharsets.US_ASCII));
        return socket;
    }
}
