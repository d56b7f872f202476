package io.softcall.api.http;

import static io.restassured.RestAssured.given;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.quarkus.test.common.ResourceArg;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.softcall.CapturedLog;
import io.softcall.S3Server;
import java.io.IOException;
import java.net.Socket;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.logging.Level;
import org.jboss.logmanager.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A faulty request is the sender's problem: it gets a 4xx at once, no line in the log, and an answer that repeats nothing of
 * it.
 */
@QuarkusTest
@WithTestResource(
        value = S3Server.class,
        initArgs = {
            @ResourceArg(name = "softcall.http.body-time", value = "1S"),
            @ResourceArg(name = "softcall.jobs.output", value = "s3://softcall-tests/results"),
            @ResourceArg(name = "softcall.jobs.buckets", value = "softcall-tests"),
        })
class HttpFaultsTest {

    private static final int LIMIT_MS = 5_000;

    /** A text in every body and header here. */
    private static final String TEXT = "CUSTOMERTEXT";

    @TestHTTPResource
    URL url;

    private CapturedLog log;

    @BeforeEach
    void capture() {
        log = new CapturedLog();
    }

    @AfterEach
    void nothingIsLogged() {
        log.close();
        assertEquals(List.of(), log.lines(Level.WARNING));
        assertEquals(
                List.of(),
                log.lines(Level.ALL).stream()
                        .filter(line -> line.contains(TEXT))
                        .toList());
    }

    /** Reads until the server closes the connection, or until an answer is complete. */
    private String send(byte[] request) throws IOException {
        try (Socket socket = new Socket(url.getHost(), url.getPort())) {
            socket.setSoTimeout(LIMIT_MS);
            socket.getOutputStream().write(request);
            StringBuilder answer = new StringBuilder();
            byte[] buffer = new byte[65_536];
            int read = socket.getInputStream().read(buffer);
            while (read > 0) {
                answer.append(new String(buffer, 0, read, StandardCharsets.UTF_8));
                boolean whole = answer.indexOf("\r\n\r\n") >= 0
                        && (answer.indexOf("content-length: 0") >= 0 || answer.charAt(answer.length() - 1) == '}');
                read = whole ? -1 : socket.getInputStream().read(buffer);
            }
            return answer.toString();
        }
    }

    private String send(String start, String headers, String body) throws IOException {
        String lines = headers.isEmpty() ? "" : headers.replace("|", "\r\n") + "\r\n";
        return send((start + " HTTP/1.1\r\nX-Customer: " + TEXT + "\r\n" + lines + "\r\n" + body)
                .getBytes(StandardCharsets.UTF_8));
    }

    private static void assertError(int status, String type, String answer) {
        assertTrue(answer.startsWith("HTTP/1.1 " + status + " "), answer);
        assertTrue(answer.contains("\"type\":\"" + type + "\""), answer);
    }

    @ParameterizedTest
    @ValueSource(strings = {"/v1/classify", "/classify", "/classify-text", "/v1/jobs", "/"})
    void aBodyWithoutAByte(String path) throws IOException {
        String json = "Host: x|Content-Type: application/json";
        assertError(400, "invalid_request", send("POST " + path, json + "|Transfer-Encoding: chunked", "0\r\n\r\n"));
        assertError(400, "invalid_request", send("POST " + path, json + "|Content-Length: 0", ""));
        assertError(400, "invalid_request", send("POST " + path, json, ""));
    }

    @ParameterizedTest
    @ValueSource(strings = {"/v1/classify", "/classify", "/classify-text", "/v1/jobs", "/"})
    void bodiesThatAreNoJson(String path) throws IOException {
        byte[] framed = Files.readAllBytes(Path.of("src/test/resources/cases/confluent-framed.bin"));
        for (byte[] body : List.of(framed, TEXT.getBytes(StandardCharsets.UTF_8), new byte[] {'"', (byte) 0xff, '"'})) {
            for (String padding : List.of("", " ".repeat(100_000))) {
                byte[] all =
                        (new String(body, StandardCharsets.ISO_8859_1) + padding).getBytes(StandardCharsets.ISO_8859_1);
                given().contentType("application/json")
                        .header("ce-specversion", "1.0")
                        .header("ce-id", TEXT)
                        .header("ce-source", "/" + TEXT)
                        .header("ce-type", "io.softcall.classify")
                        .body(all)
                        .post(path)
                        .then()
                        .statusCode(400);
            }
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '!', textBlock = """
            GET /                     ! Host: x      !                                   ! 405 ! method_not_allowed
            GET /favicon.ico          ! Host: x      !                                   ! 404 ! not_found
            GET /classify-text?x=y    ! Host: x      !                                   ! 405 ! method_not_allowed
            PUT /v1/classify          ! Host: x|Transfer-Encoding: chunked ! 0           ! 405 ! method_not_allowed
            POST /v1/classify;a=b     ! Host: x|Content-Type: application/json|Content-Length: 2 ! {} ! 404 ! not_found
            POST /classify-text;a=b   ! Host: x|Content-Type: application/json|Content-Length: 2 ! {} ! 404 ! not_found
            POST /v1/classify         ! Host: x|Content-Type: ;;|Content-Length: 2          ! {} ! 415 ! unsupported_media_type
            POST /classify-text       ! Host: x|Content-Type: ;;|Content-Length: 2          ! {} ! 415 ! unsupported_media_type
            POST /v1/classify         ! Host: [::|Content-Type: application/json|Content-Length: 2 ! {} ! 400 ! invalid_request
            GET /v1/models            !              !                                   ! 400 ! invalid_request
            GET /v1/models            ! Host: a b    !                                   ! 400 ! invalid_request
            GET /v1/models/%00        ! Host: x      !                                   ! 400 ! invalid_request
            GET /v1/models            ! Host: x|Accept: ;;; !                            ! 406 ! not_acceptable
            BREW /v1/models           ! Host: x      !                                   ! 405 ! method_not_allowed
            OPTIONS *                 ! Host: x      !                                   ! 404 ! not_found
            GET /v1/models            ! Host: x|Content-Length: 10 ! abc                 ! 408 ! request_timeout
            DELETE /v1/models/x       ! Host: x|Content-Length: 10 ! abc                 ! 405 ! method_not_allowed
            DELETE /v1/jobs/x         ! Host: x|Content-Length: 10 ! abc                 ! 408 ! request_timeout
            POST /v1/jobs             ! Host: x|Content-Length: 10 ! abc                 ! 408 ! request_timeout
            """)
    void requestsThatAreWrong(String start, String headers, String body, int status, String type) throws IOException {
        String sent = body == null ? "" : body.equals("0") ? "0\r\n\r\n" : body;
        assertError(status, type, send(start, headers == null ? "" : headers, sent));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '!', textBlock = """
            TRACE /                   ! POST, OPTIONS
            GET /v1/classify          ! POST, OPTIONS
            POST /v1/models/x         ! GET, HEAD, OPTIONS
            PATCH /v1/jobs/x/y        ! GET, HEAD, DELETE, OPTIONS
            GET /v1/jobs/             ! POST, OPTIONS
            POST /v1/models/          ! GET, HEAD, OPTIONS
            GET /classify-text/?x=y   ! POST, OPTIONS
            GET //v1/classify         ! POST, OPTIONS
            """)
    void theMethodsOfAPathAreNamed(String start, String methods) throws IOException {
        String answer = send(start, "Host: x", "");
        assertError(405, "method_not_allowed", answer);
        assertTrue(answer.toLowerCase(Locale.ROOT).contains("allow: " + methods.toLowerCase(Locale.ROOT)), answer);
    }

    @Test
    void chunksThatAreNone() throws IOException {
        String answer = send(
                "POST /v1/classify",
                "Host: x|Content-Type: application/json|Transfer-Encoding: chunked",
                "zz\r\n" + TEXT + "\r\n");
        assertTrue(answer.isEmpty() || answer.startsWith("HTTP/1.1 400"), answer);
    }

    @Test
    void aClientThatAsksFirst() throws IOException {
        String body = "{\"model\": \"sentiment\", \"input\": \"A joy.\"}";
        String answer = send(
                "POST /v1/classify",
                "Host: x|Content-Type: application/json|Expect: 100-continue|Content-Length: " + body.length(),
                body);
        assertEquals(2, answer.split("100 Continue", -1).length, answer);
        assertTrue(answer.contains("HTTP/1.1 200"), answer);
    }

    @Test
    void inventedMethodsAndPathsMakeNoMetrics() throws IOException {
        send("GET /v1/models", "Host: x", "");
        send("BREW /v1/models", "Host: x", "");
        send("BREW /invented", "Host: x", "");
        long before = series();
        for (int i = 0; i < 20; i++) {
            send("BREW" + i + " /v1/models", "Host: x", "");
            send("BREW" + i + " /invented/" + i, "Host: x", "");
            given().get("/v1/models/invented-" + i);
            given().post("/invented-" + i + ";x=" + i);
        }
        assertTrue(series() <= before + 30, "series: " + before + ", then " + series());
    }

    private static long series() {
        return given().get("/q/metrics")
                .body()
                .asString()
                .lines()
                .filter(line -> line.startsWith("http_server_requests"))
                .count();
    }

    /** The log works, so it is not silent by accident. */
    @Test
    void theLogIsWatched() {
        Logger.getLogger("io.softcall.test").info("a line of " + Map.of("this", "test"));
        assertTrue(log.lines(Level.INFO).contains("io.softcall.test: a line of {this=test}"));
    }
}
