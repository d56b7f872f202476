package io.softcall.api.lambda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.Lambda;
import io.softcall.Tiny;
import java.io.IOException;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The build {@code lambda-http}: events of function URLs and HTTP APIs (payload version 2.0) are requests like any other. */
@Tag("lambda")
class LambdaHttpTest {

    private static final JsonMapper JSON = new JsonMapper();
    private static final Map<String, String> IS_JSON = Map.of("content-type", "application/json");

    private static Lambda function;

    @BeforeAll
    static void start() throws IOException {
        function = new Lambda("lambda-http", Map.of());
    }

    @AfterAll
    static void stop() throws IOException {
        function.close();
    }

    @Test
    void classify() throws Exception {
        List<Tiny.Row> rows = Tiny.golden("sentiment");
        JsonNode answer = post("/v1/classify", request("sentiment", rows), IS_JSON, false);

        assertEquals(200, answer.get("statusCode").intValue(), answer::toString);
        JsonNode body = JSON.readTree(answer.get("body").textValue());
        assertEquals(rows.size(), body.get("data").size());
        for (int i = 0; i < rows.size(); i++) {
            assertProbabilities(rows.get(i), body.at("/data/" + i + "/probs"));
        }
        assertEquals(
                body.get("version").textValue(),
                answer.at("/headers/x-softcall-version").textValue());
    }

    @Test
    void bodiesInBase64() throws Exception {
        List<Tiny.Row> rows = Tiny.golden("pair");
        JsonNode answer = post("/v1/classify", request("pair", rows), IS_JSON, true);

        assertProbabilities(
                rows.getFirst(), JSON.readTree(answer.get("body").textValue()).at("/data/0/probs"));
    }

    @Test
    void cloudEvents() throws Exception {
        List<Tiny.Row> rows = Tiny.golden("sentiment");
        Map<String, String> headers = new HashMap<>(IS_JSON);
        headers.putAll(
                Map.of("ce-specversion", "1.0", "ce-id", "1", "ce-source", "test", "ce-type", "io.softcall.classify"));
        JsonNode answer = post("/", request("sentiment", rows), headers, false);

        assertEquals("io.softcall.classified", answer.at("/headers/ce-type").textValue(), answer::toString);
        assertProbabilities(
                rows.getFirst(), JSON.readTree(answer.get("body").textValue()).at("/data/0/probs"));
    }

    @ParameterizedTest
    @CsvSource({
        "POST, /v1/classify, '{\"model\": \"no/such\", \"input\": \"x\"}', 404, unknown_task",
        "POST, /v1/classify, '{\"model\": \"sentiment\"}', 400, invalid_request",
        "POST, /v1/classify, , 400, invalid_request",
        "POST, /classify-text, '{\"model\": \"../x\", \"input\": \"x\"}', 400, invalid_request",
        "GET, /no/such/path, , 404, not_found",
        "GET, /v1/classify, , 405, method_not_allowed",
    })
    void errors(String method, String path, String body, int status, String type) throws Exception {
        JsonNode answer = function.invoke(event(method, path, body, IS_JSON, false));

        assertEquals(status, answer.get("statusCode").intValue(), answer::toString);
        assertEquals(
                type,
                JSON.readTree(answer.get("body").textValue()).at("/error/type").textValue());
    }

    @ParameterizedTest
    @CsvSource({"/v1/models, sentiment", "/q/health/ready, UP", "/q/openapi, /v1/classify", "/q/metrics, softcall_calls"
    })
    void otherPaths(String path, String expected) throws Exception {
        JsonNode answer = function.invoke(event("GET", path, null, Map.of(), false));

        assertEquals(200, answer.get("statusCode").intValue(), answer::toString);
        String body = answer.get("body").textValue();
        boolean encoded = answer.path("isBase64Encoded").booleanValue();
        assertTrue((encoded ? new String(Base64.getDecoder().decode(body)) : body).contains(expected));
    }

    private static String request(String task, List<Tiny.Row> rows) throws IOException {
        return JSON.writeValueAsString(Map.of(
                "model", task, "input", rows.stream().map(Tiny.Row::input).toList()));
    }

    private static JsonNode post(String path, String body, Map<String, String> headers, boolean base64)
            throws Exception {
        return function.invoke(event("POST", path, body, headers, base64));
    }

    private static Map<String, Object> event(
            String method, String path, String body, Map<String, String> headers, boolean base64) {
        Map<String, Object> event = new TreeMap<>(Map.of(
                "version",
                "2.0",
                "routeKey",
                "$default",
                "rawPath",
                path,
                "rawQueryString",
                "",
                "headers",
                headers,
                "requestContext",
                Map.of("http", Map.of("method", method, "path", path, "sourceIp", "192.0.2.1")),
                "isBase64Encoded",
                base64));
        if (body != null) {
            event.put("body", base64 ? Base64.getEncoder().encodeToString(body.getBytes()) : body);
        }
        return event;
    }

    private static void assertProbabilities(Tiny.Row row, JsonNode probs) {
        assertEquals(row.probs().length, probs.size());
        for (int i = 0; i < row.probs().length; i++) {
            assertEquals(row.probs()[i], probs.get(i).doubleValue(), 1e-4);
        }
    }
}
