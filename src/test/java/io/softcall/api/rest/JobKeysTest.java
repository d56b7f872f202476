package io.softcall.api.rest;

import static io.restassured.RestAssured.given;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.quarkus.test.common.ResourceArg;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.softcall.VersityGateway;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.core.sync.RequestBody;

/** Keys that a real server sends unencoded, and that others encode. Results go into the same bucket. */
@QuarkusTest
@WithTestResource(
        value = VersityGateway.class,
        initArgs = {
            @ResourceArg(name = "softcall.jobs.output", value = "s3://inbox/results"),
            @ResourceArg(name = "softcall.jobs.buckets", value = "inbox"),
            @ResourceArg(name = "softcall.jobs.keys", value = "in*"),
            @ResourceArg(name = "softcall.jobs.rules.a.keys", value = "*"),
            @ResourceArg(name = "softcall.jobs.rules.a.task", value = "sentiment"),
        })
class JobKeysTest {

    private static final JsonMapper JSON = new JsonMapper();

    VersityGateway store;

    /** @return its ETag */
    private String put(String key, int rows) {
        return store.client()
                .putObject(
                        request -> request.bucket(VersityGateway.BUCKET).key(key),
                        RequestBody.fromString("text\n" + "A joy.\n".repeat(rows)))
                .eTag()
                .replace("\"", "");
    }

    private static JsonNode report(String notification) throws Exception {
        return JSON.readTree(given().contentType("application/json")
                .body(notification)
                .post("/v1/jobs")
                .then()
                .statusCode(200)
                .extract()
                .asString());
    }

    @Test
    void keysAreThoseOfTheFilesThatLanded() throws Exception {
        List<String> keys = List.of(
                "in/plain.csv",
                "in/a b.csv",
                "in/a+b.csv",
                "in/50%.csv",
                "in/a%2Bb.csv",
                "in/日本.csv",
                "in/日本+b.csv",
                "in/x&y=z;.csv");
        Map<String, String> expected = new TreeMap<>();
        for (int i = 0; i < keys.size(); i++) {
            expected.put(keys.get(i), put(keys.get(i), i + 1));
        }
        // The server also notifies about results, which the predicate leaves out.
        List<String> notifications = store.notifications(one -> one.contains("\"in/"), keys.size());
        assertEquals(keys.size(), notifications.size());
        assertTrue(notifications.stream().anyMatch(one -> one.contains("\"in/a+b.csv\"")), "raw: " + notifications);
        Map<String, String> found = new TreeMap<>();
        for (String notification : notifications) {
            JsonNode report = report(notification);
            found.put(report.path("key").asText(), report.path("etag").asText());
            assertEquals(
                    1 + keys.indexOf(report.get("key").textValue()),
                    report.path("rows").intValue());
        }
        assertEquals(expected, found);
        // The same files in the notifications of AWS and MinIO.
        for (String key : keys) {
            assertEquals(
                    key,
                    report(encoded(key, ", \"eTag\": \"%s\"".formatted(expected.get(key))))
                            .path("key")
                            .asText());
        }
    }

    private static String encoded(String key, String more) {
        return notification(URLEncoder.encode(key, StandardCharsets.UTF_8), more);
    }

    private static String notification(String key, String more) {
        return """
                {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "inbox"}, "object": {"key": "%s"%s}}}]}""".formatted(key, more);
    }

    @Test
    void whereTwoFilesCanBeMeantTheEventDecides() throws Exception {
        put("into/raw+only.csv", 1);
        assertEquals(
                "into/raw+only.csv",
                report(notification("into/raw+only.csv", "")).path("key").asText());
        put("into/decoded only.csv", 1);
        assertEquals(
                "into/decoded only.csv",
                report(notification("into/decoded+only.csv", "")).path("key").asText());
        String decoded = put("into/c d.csv", 2);
        String raw = put("into/c+d.csv", 3);
        assertEquals(
                "into/c d.csv",
                report(notification("into/c+d.csv", "")).path("key").asText());
        for (var one : Map.of(decoded, "into/c d.csv", raw, "into/c+d.csv").entrySet()) {
            assertEquals(
                    one.getValue(),
                    report(notification("into/c+d.csv", ", \"eTag\": \"%s\"".formatted(one.getKey())))
                            .path("key")
                            .asText());
        }
        assertEquals(
                "into/c+d.csv",
                report(notification("into/c+d.csv", ", \"size\": 26"))
                        .path("key")
                        .asText());
        // Neither file exists, so the failed job has the key of the usual decoding.
        JsonNode gone = report(notification("into/no+such.csv", ""));
        assertEquals("into/no such.csv", gone.path("key").asText());
        assertEquals("input_gone", gone.at("/error/code").asText());
    }
}
