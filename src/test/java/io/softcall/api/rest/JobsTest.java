package io.softcall.api.rest;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.closeTo;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.is;
import static org.hamcrest.Matchers.not;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.github.luben.zstd.Zstd;
import io.quarkus.test.common.ResourceArg;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.response.ValidatableResponse;
import io.softcall.S3Server;
import io.softcall.Tiny;
import io.softcall.jobs.formats.parquet.ParquetBytes;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.model.S3Object;

/** Jobs without a broker, on a real S3 server: their input, their output, and that nobody can change it. */
@QuarkusTest
@WithTestResource(
        value = S3Server.class,
        initArgs = {
            @ResourceArg(name = "softcall.jobs.output", value = "s3://softcall-tests/results"),
            @ResourceArg(name = "softcall.jobs.buckets", value = "softcall-tests"),
            @ResourceArg(name = "softcall.jobs.rules.a.keys", value = "in/sentiment/*"),
            @ResourceArg(name = "softcall.jobs.rules.a.task", value = "sentiment"),
            @ResourceArg(name = "softcall.jobs.rules.b.keys", value = "in/pair/*"),
            @ResourceArg(name = "softcall.jobs.rules.b.task", value = "pair"),
            @ResourceArg(name = "softcall.jobs.part-bytes", value = "1000"),
            @ResourceArg(name = "softcall.jobs.part-rows", value = "20"),
            @ResourceArg(name = "softcall.jobs.row-bytes", value = "5000"),
            @ResourceArg(name = "softcall.jobs.store-patience", value = "90S"),
        })
class JobsTest {

    private static final JsonMapper JSON = new JsonMapper();
    private static final List<Tiny.Row> SENTIMENT = Tiny.golden("sentiment");
    private static final List<Tiny.Row> PAIR = Tiny.golden("pair");

    @TestHTTPResource("/v1/jobs")
    URI url;

    S3Server store;

    /** Rows of PEFT's golden texts, repeated. */
    private static String jsonl(int rows) {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < rows; i++) {
            Tiny.Row row = SENTIMENT.get(i % SENTIMENT.size());
            lines.append(JSON.createObjectNode()
                            .put("id", i)
                            .put("text", row.texts().getFirst()))
                    .append('\n');
        }
        return lines.toString();
    }

    @Test
    void aSplitFileGivesAllRowsInOrderAsPeftLabelsThem() throws Exception {
        String etag = put("in/sentiment/a b+ü.jsonl", jsonl(60).getBytes(StandardCharsets.UTF_8));
        String version = store.overwrite("sentiment", Tiny.artifact("sentiment"));
        String id = "in/sentiment/a b+ü.jsonl/" + etag;
        notify("in/sentiment/a b+ü.jsonl")
                .statusCode(200)
                .body("job", is(id))
                .body("rows", is(60))
                .body("errors", is(0))
                .body("tasks.sentiment", is(version))
                .body("output", is("s3://softcall-tests/results/" + id + "/"));
        List<JsonNode> rows = rows(id);
        assertEquals(60, rows.size());
        assertTrue(parts(id).size() > 3, "parts: " + parts(id));
        for (int i = 0; i < rows.size(); i++) {
            assertEquals(i, rows.get(i).get("id").intValue());
            assertAnswer(SENTIMENT.get(i % SENTIMENT.size()), rows.get(i));
            assertEquals(version, rows.get(i).get("version").textValue());
        }
        assertManifest(id);
        given().urlEncodingEnabled(true)
                .get("/v1/jobs/{key}/{etag}", "in/sentiment/a b+ü.jsonl", etag)
                .then()
                .statusCode(200)
                .body("state", is("completed"))
                .body("report.rows", is(60));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "x.jsonl",
                "x.ndjson",
                "x.jsonl.gz",
                "x.jsonl.zst",
                "x.csv",
                "x.csv.gz",
                "x.parquet",
                "zstd.parquet"
            })
    void everyFormatGivesTheSame(String name) throws Exception {
        String key = "in/sentiment/formats/" + name;
        String id = key + "/" + put(key, file(name));
        notify(key).statusCode(200).body("rows", is(50)).body("errors", is(0));
        List<JsonNode> rows = rows(id);
        for (int i = 0; i < rows.size(); i++) {
            assertEquals(Integer.toString(i), rows.get(i).get("id").asText());
            assertAnswer(SENTIMENT.get(i % SENTIMENT.size()), rows.get(i));
        }
        assertManifest(id);
    }

    private static byte[] file(String name) throws IOException {
        byte[] lines = jsonl(50).getBytes(StandardCharsets.UTF_8);
        if (name.endsWith(".parquet")) {
            // 50 rows in row groups of 30, made by training-exporter/tests/make_parquet.py
            return Files.readAllBytes(
                    Path.of("src/test/resources/jobs", name.startsWith("zstd") ? "zstd.parquet" : "snappy.parquet"));
        }
        if (name.contains(".csv")) {
            StringBuilder csv = new StringBuilder("\ufeffnote,text,id\r\n");
            for (int i = 0; i < 50; i++) {
                String text = SENTIMENT.get(i % SENTIMENT.size()).texts().getFirst();
                csv.append("\"a\nb\",\"")
                        .append(text.replace("\"", "\"\""))
                        .append("\",")
                        .append(i)
                        .append("\r\n");
            }
            lines = csv.toString().getBytes(StandardCharsets.UTF_8);
        }
        if (name.endsWith(".zst")) {
            return Zstd.compress(lines);
        }
        return name.endsWith(".gz") ? gzip(lines) : lines;
    }

    private static byte[] gzip(byte[] bytes) throws IOException {
        var out = new ByteArrayOutputStream();
        try (var gzip = new GZIPOutputStream(out)) {
            gzip.write(bytes);
        }
        return out.toByteArray();
    }

    @Test
    void rowsOfKvPromptsAndOfSeveralLabels() throws Exception {
        List<Tiny.Row> golden = Tiny.golden("topics");
        StringBuilder lines = new StringBuilder();
        for (Tiny.Row row : golden) {
            for (String task : List.of("topics", "kv")) {
                lines.append(JSON.createObjectNode()
                                .put("task", task)
                                .put("text", row.texts().getFirst()))
                        .append('\n');
            }
        }
        String key = "in/topics/x.jsonl";
        String id = key + "/" + put(key, lines.toString().getBytes(StandardCharsets.UTF_8));
        notify(key).statusCode(200).body("rows", is(2 * golden.size())).body("errors", is(0));
        List<JsonNode> rows = rows(id);
        for (int i = 0; i < golden.size(); i++) {
            JsonNode topics = rows.get(2 * i);
            List<String> labels = Tiny.topics(golden.get(i));
            assertEquals(
                    labels,
                    topics.get("labels").valueStream().map(JsonNode::textValue).toList());
            assertEquals(
                    labels.isEmpty() ? null : labels.getFirst(),
                    topics.get("label").textValue());
            assertAnswer(Tiny.golden("kv").get(i), rows.get(2 * i + 1));
            assertFalse(rows.get(2 * i + 1).has("labels"));
        }
    }

    @Test
    void pairsAndTasksByRow() throws Exception {
        String key = "in/pair/mixed.jsonl";
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            Tiny.Row pair = PAIR.get(i % PAIR.size());
            lines.add(JSON.createObjectNode()
                    .put("text1", pair.texts().get(0))
                    .put("text2", pair.texts().get(1))
                    .toString());
            lines.add(JSON.createObjectNode()
                    .put("task", "sentiment")
                    .put("text", SENTIMENT.get(i % SENTIMENT.size()).texts().getFirst())
                    .put("other", "ignored")
                    .toString());
        }
        String id = key + "/" + put(key, String.join("\n", lines).getBytes(StandardCharsets.UTF_8));
        notify(key).statusCode(200).body("rows", is(24)).body("errors", is(0));
        List<JsonNode> rows = rows(id);
        for (int i = 0; i < 12; i++) {
            assertAnswer(PAIR.get(i % PAIR.size()), rows.get(2 * i));
            assertAnswer(SENTIMENT.get(i % SENTIMENT.size()), rows.get(2 * i + 1));
        }
    }

    @Test
    void aBadRowCostsARow() throws Exception {
        store.overwrite("broken/nan", Tiny.broken("nan"));
        Map<String, String> bad = new LinkedHashMap<>();
        bad.put("{\"id\": 1, \"text\": ", "invalid_request");
        bad.put("[1]", "invalid_request");
        bad.put("{\"id\": 3}", "invalid_request");
        bad.put("{\"id\": 4, \"text\": 5}", "invalid_request");
        bad.put("{\"id\": 5, \"text\": \"  \"}", "invalid_request");
        bad.put("{\"id\": 6, \"text1\": \"a\", \"text2\": \"b\"}", "invalid_request");
        bad.put("{\"id\": 7, \"text\": \"a\", \"task\": \"../x\"}", "invalid_request");
        bad.put("{\"id\": 8, \"text\": \"a\", \"task\": \"no/such\"}", "unknown_task");
        bad.put("{\"id\": 9, \"text\": \"a\", \"task\": \"broken/nan\"}", "artifact_refused");
        bad.put("{\"id\": 10, \"text\": \"" + "long ".repeat(900) + "\"}", "text_too_long");
        bad.put("{\"id\": 11, \"text\": \"" + "x".repeat(6_000) + "\"}", "invalid_request");
        bad.put("{\"id\": 12, \"text\": \"a\"} {}", "invalid_request");
        String good = jsonl(1).strip();
        String key = "in/sentiment/bad-rows.jsonl";
        StringBuilder lines = new StringBuilder();
        bad.keySet()
                .forEach(line -> lines.append(line).append("\n\n").append(good).append('\n'));
        String id = key + "/" + put(key, lines.toString().getBytes(StandardCharsets.UTF_8));
        notify(key).statusCode(200).body("rows", is(2 * bad.size())).body("errors", is(bad.size()));
        List<JsonNode> rows = rows(id);
        List<String> codes = List.copyOf(bad.values());
        for (int i = 0; i < codes.size(); i++) {
            assertEquals(
                    codes.get(i),
                    rows.get(2 * i).at("/error/code").textValue(),
                    rows.get(2 * i).toString());
            assertFalse(rows.get(2 * i).has("label"));
            assertAnswer(SENTIMENT.getFirst(), rows.get(2 * i + 1));
        }
    }

    @Test
    void aBadFileCostsTheJobAndStaysBad() throws Exception {
        byte[] gzip = gzip(jsonl(2_000).getBytes(StandardCharsets.UTF_8));
        Map<String, byte[]> files = Map.of(
                "x.txt", new byte[] {1},
                "cut.jsonl.gz", Arrays.copyOf(gzip, gzip.length / 2),
                "x.csv", "a,b\n1,2\n".getBytes(StandardCharsets.UTF_8),
                "cp1252.csv", Files.readAllBytes(Path.of("src/test/resources/cases/cp1252.csv")),
                "claims.parquet", ParquetBytes.of("a").groupRows(1L << 40).write(),
                "no.parquet", "PAR1 or not".getBytes(StandardCharsets.UTF_8),
                "no.jsonl.zst", "not zstd".getBytes(StandardCharsets.UTF_8));
        for (var file : files.entrySet()) {
            String key = "in/sentiment/bad/" + file.getKey();
            String id = key + "/" + put(key, file.getValue());
            for (int i = 0; i < 2; i++) {
                notify(key).statusCode(200).body("error.code", is("bad_file"));
            }
            JsonNode manifest = JSON.readTree(get(id + "/_FAILED"));
            assertEquals("bad_file", manifest.at("/error/code").textValue());
            assertFalse(keys(id).contains("results/" + id + "/_SUCCESS"));
        }
    }

    @Test
    void aRowThatIsNoCsvCostsThatRow() throws Exception {
        String key = "in/sentiment/quote_row.csv";
        String id = key + "/" + put(key, Files.readAllBytes(Path.of("src/test/resources/cases/quote_row.csv")));
        notify(key).statusCode(200).body("rows", is(3)).body("errors", is(1));
        assertEquals(1, rows(id).get(1).get("row").intValue());
        assertEquals("invalid_request", rows(id).get(1).at("/error/code").asText());
    }

    @Test
    void idsComeBackAsTheyWereWritten() throws Exception {
        String key = "in/sentiment/ids.jsonl";
        List<String> ids =
                List.of("1e400", "0.10000000000000000555", "1e2", "-0", "18446744073709551615", "\"\\ud800\"");
        String lines = ids.stream()
                .map("{\"id\": %s, \"text\": \"A joy.\"}\n"::formatted)
                .collect(Collectors.joining());
        String id = key + "/" + put(key, lines.getBytes(StandardCharsets.UTF_8));
        notify(key).statusCode(200).body("rows", is(ids.size())).body("errors", is(0));
        List<String> written = new String(get(id + "/part-00000.jsonl"), StandardCharsets.UTF_8)
                .lines()
                .toList();
        for (int i = 0; i < ids.size(); i++) {
            assertTrue(written.get(i).startsWith("{\"id\":" + ids.get(i) + ",\"part\":0,"), written.get(i));
        }
        assertManifest(id);
    }

    @Test
    void aCancelledJobStopsAndStaysCancelled() throws Exception {
        String key = "in/sentiment/long.csv";
        String etag = put(key, ("text\n" + "A joy.\n".repeat(1_000_000)).getBytes(StandardCharsets.UTF_8));
        String id = key + "/" + etag;
        var answer = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .build()
                .sendAsync(post(notification(S3Server.BUCKET, key, "")), HttpResponse.BodyHandlers.ofString());
        while (parts(id).isEmpty()) {
            Thread.sleep(20);
        }
        status(id).body("state", is("running"));
        given().delete("/v1/jobs/{key}/{etag}", key, etag)
                .then()
                .statusCode(200)
                .body("state", is("cancelled"))
                .body("report.error.code", is("cancelled"));
        assertEquals(200, answer.get().statusCode(), answer.get().body());
        assertEquals(
                "cancelled",
                JSON.readTree(answer.get().body()).at("/error/code").asText());
        int parts = parts(id).size();
        assertTrue(parts < 50_000, "parts: " + parts);
        // Further notifications get the same answer, and no further work is done.
        notify(key).statusCode(200).body("error.code", is("cancelled"));
        status(id).body("state", is("cancelled"));
        given().delete("/v1/jobs/{key}/{etag}", key, etag)
                .then()
                .statusCode(200)
                .body("state", is("cancelled"));
        assertEquals(parts, parts(id).size());
        assertFalse(keys(id).contains("results/" + id + "/_SUCCESS"));
    }

    @Test
    void anotherInstanceThatIsToldOfTheEndStopsAtItsNextPart() throws Exception {
        String key = "in/sentiment/elsewhere.csv";
        String etag = put(key, ("text\n" + "A joy.\n".repeat(1_000_000)).getBytes(StandardCharsets.UTF_8));
        String id = key + "/" + etag;
        var answer = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .build()
                .sendAsync(post(notification(S3Server.BUCKET, key, "")), HttpResponse.BodyHandlers.ofString());
        while (parts(id).isEmpty()) {
            Thread.sleep(20);
        }
        // The manifest is what the other instance would write.
        JsonNode plan = JSON.readTree(get(id + "/_PLAN"));
        String manifest = JSON.createObjectNode()
                .put("job", id)
                .put("output", "s3://softcall-tests/results/" + id + "/")
                .<ObjectNode>set("input", plan.get("input"))
                .set("error", JSON.createObjectNode().put("code", "cancelled").put("message", "enough"))
                .toString();
        store.client()
                .putObject(
                        r -> r.bucket(S3Server.BUCKET).key("results/" + id + "/_FAILED"),
                        RequestBody.fromString(manifest));
        assertEquals(
                "enough",
                JSON.readTree(answer.get().body()).at("/error/message").asText(),
                answer.get().body());
    }

    @Test
    void whatHasEndedOrNeverBegunIsNotCancelled() {
        given().delete("/v1/jobs/in/sentiment/nothing.csv/abc")
                .then()
                .statusCode(404)
                .body("error.type", is("not_found"));
        String key = "in/sentiment/ended.jsonl";
        String etag = put(key, jsonl(1).getBytes(StandardCharsets.UTF_8));
        notify(key).statusCode(200).body("rows", is(1));
        given().delete("/v1/jobs/{key}/{etag}", key, etag)
                .then()
                .statusCode(200)
                .body("state", is("completed"));
    }

    @Test
    void eachOfSeveralRecordsHasItsOwnFate() {
        put("in/sentiment/first.jsonl", jsonl(2).getBytes(StandardCharsets.UTF_8));
        put("in/sentiment/bad.parquet", new byte[] {1});
        put("in/sentiment/last.jsonl", jsonl(3).getBytes(StandardCharsets.UTF_8));
        event(records(List.of(
                        record(S3Server.BUCKET, "in//impossible.jsonl", ""),
                        record(S3Server.BUCKET, "in/sentiment/first.jsonl", ""),
                        Map.of("s3", "nonsense", "eventName", "ObjectCreated:Put"),
                        record("other", "in/x.jsonl", ""),
                        record(S3Server.BUCKET, "in/sentiment/bad.parquet", ""),
                        record(S3Server.BUCKET, "in/folder/", ""),
                        record(S3Server.BUCKET, "in/sentiment/last.jsonl", ""))))
                .statusCode(200)
                .body("reports.size()", is(6))
                .body("reports[0].error.code", is("invalid_request"))
                .body("reports[0].key", is("in//impossible.jsonl"))
                .body("reports[1].rows", is(2))
                .body("reports[2].error.code", is("invalid_request"))
                .body("reports[3].error.code", is("forbidden"))
                .body("reports[4].error.code", is("bad_file"))
                .body("reports[5].rows", is(3));
        event(records(List.of(record("other", "in/x.jsonl", ""), record(S3Server.BUCKET, "a//b", ""))))
                .statusCode(403);
        event(records(List.of(record(S3Server.BUCKET, "in/folder/", ""), record(S3Server.BUCKET, "in/other/", ""))))
                .statusCode(204);
    }

    @Test
    void aNotificationThatIsNoneIsRefusedAndNotRepeated() throws Exception {
        for (byte[] body : List.of(
                "CUSTOMERTEXT".getBytes(StandardCharsets.UTF_8),
                "{\"Records\": [CUSTOMERTEXT]}".getBytes(StandardCharsets.UTF_8),
                "{\"Records\": [], \"Records\": []}".getBytes(StandardCharsets.UTF_8),
                Files.readAllBytes(Path.of("src/test/resources/cases/confluent-framed.bin")))) {
            given().contentType("application/json")
                    .body(body)
                    .post("/v1/jobs")
                    .then()
                    .statusCode(400)
                    .body("error.type", is("invalid_request"))
                    .body("error.message", containsString("the body is not valid JSON"))
                    .body("error.message", not(containsString("CUSTOMER")));
        }
    }

    @Test
    void aFolderThatSomebodyHasChangedIsNoFaultOfTheEvent() {
        String key = "in/sentiment/changed.jsonl";
        String etag = put(key, jsonl(1).getBytes(StandardCharsets.UTF_8));
        store.client()
                .putObject(
                        r -> r.bucket(S3Server.BUCKET).key("results/" + key + "/" + etag + "/_PLAN"),
                        RequestBody.fromString("{\"CUSTOMERTEXT\": "));
        notify(key)
                .statusCode(500)
                .body("error.type", is("internal"))
                .body("error.message", containsString("_PLAN cannot be read"))
                .body("error.message", not(containsString("CUSTOMER")));
        status(key + "/" + etag).statusCode(500);
    }

    private static ValidatableResponse status(String id) {
        int slash = id.lastIndexOf('/');
        return given().get("/v1/jobs/{key}/{etag}", id.substring(0, slash), id.substring(slash + 1))
                .then();
    }

    @Test
    void anEmptyFileIsAJobToo() throws Exception {
        String key = "in/sentiment/empty.jsonl";
        String id = key + "/" + put(key, new byte[0]);
        notify(key).statusCode(200).body("rows", is(0));
        assertManifest(id);
    }

    @Test
    void finishedPartsAreNotDoneAgainAndVersionsStayWhenTheTaskChanges() throws Exception {
        String version = store.overwrite("kept", Tiny.artifact("sentiment"));
        String key = "in/kept.csv";
        StringBuilder csv = new StringBuilder("id,task,text\n");
        for (int i = 0; i < 50; i++) {
            csv.append(i).append(",kept,").append("A joy.\n");
        }
        String id = key + "/" + put(key, csv.toString().getBytes(StandardCharsets.UTF_8));
        notify(key).statusCode(200).body("tasks.kept", is(version));
        byte[] last = get(id + "/part-00002.jsonl");
        String first = store.client()
                .headObject(r -> r.bucket(S3Server.BUCKET).key("results/" + id + "/part-00000.jsonl"))
                .lastModified()
                .toString();
        // The state is that of a server that was killed before the last part, while the task was deleted.
        delete(id + "/_SUCCESS");
        delete(id + "/part-00002.jsonl");
        store.delete("kept");
        notify(key).statusCode(200).body("rows", is(50)).body("errors", is(0)).body("tasks.kept", is(version));
        assertEquals(
                new String(last, StandardCharsets.UTF_8),
                new String(get(id + "/part-00002.jsonl"), StandardCharsets.UTF_8));
        assertEquals(
                first,
                store.client()
                        .headObject(r -> r.bucket(S3Server.BUCKET).key("results/" + id + "/part-00000.jsonl"))
                        .lastModified()
                        .toString());
    }

    @Test
    void aVersionThatIsGoneEndsTheJobAndTheNewOneIsAnother() {
        String key = "in/sentiment/over.jsonl";
        String before = put(key, jsonl(3).getBytes(StandardCharsets.UTF_8));
        put(key, jsonl(4).getBytes(StandardCharsets.UTF_8));
        given().contentType("application/json")
                .body(notification(S3Server.BUCKET, key, before))
                .post("/v1/jobs")
                .then()
                .statusCode(200)
                .body("error.code", is("input_gone"));
        notify(key).statusCode(200).body("rows", is(4));
        notify("in/sentiment/never.jsonl").statusCode(200).body("error.code", is("input_gone"));
    }

    @Test
    void onlyListedBucketsAndNoResultsOfOurOwn() {
        event(notification("other", "in/x.jsonl", ""))
                .statusCode(403)
                .body("error.message", containsString("softcall.jobs.buckets"));
        event(notification("file:/etc", "x.csv", "")).statusCode(403);
        event(notification(S3Server.BUCKET, "results/x/part-00000.jsonl", "")).statusCode(204);
        event(notification(S3Server.BUCKET, "in/folder/", "")).statusCode(204);
        event(notification(S3Server.BUCKET, "in/../x.jsonl", "")).statusCode(400);
        given().get("/v1/jobs/in/nothing.jsonl/abc").then().statusCode(404).body("error.type", is("not_found"));
    }

    @Test
    void aStoreThatIsAwayForAWhileDelaysAJob() throws Exception {
        String key = "in/sentiment/away.jsonl";
        String id = key + "/" + put(key, jsonl(300).getBytes(StandardCharsets.UTF_8));
        // REST-assured would give up after 30 s, but the S3 server may take that long to start beside other tests.
        HttpRequest request = post(notification(S3Server.BUCKET, key, ""));
        var answer = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .build()
                .sendAsync(request, HttpResponse.BodyHandlers.ofString());
        Thread.sleep(300);
        store.kill();
        Thread.sleep(3_000);
        store.restart();
        assertEquals(200, answer.get().statusCode(), answer.get().body());
        assertEquals(300, rows(id).size());
        assertManifest(id);
    }

    private void assertAnswer(Tiny.Row expected, JsonNode row) {
        assertFalse(row.has("error"), row.toString());
        double best = Arrays.stream(expected.probs()).max().orElseThrow();
        assertTrue(closeTo(best, 1e-4).matches(row.get("score").doubleValue()), row.toString());
    }

    /** Checks that rows count from 0 in each part, and that the manifest describes what is stored. */
    private void assertManifest(String id) throws Exception {
        JsonNode manifest = JSON.readTree(get(id + "/_SUCCESS"));
        long rows = 0;
        List<String> names = parts(id);
        assertEquals(names.size(), manifest.get("parts").size());
        for (int part = 0; part < names.size(); part++) {
            JsonNode entry = manifest.get("parts").get(part);
            assertEquals("part-%05d.jsonl".formatted(part), entry.get("name").textValue());
            byte[] stored = get(id + "/" + entry.get("name").textValue());
            assertEquals(
                    HexFormat.of()
                            .formatHex(MessageDigest.getInstance("SHA-256").digest(stored)),
                    entry.get("sha256").textValue());
            assertEquals(stored.length, entry.get("bytes").longValue());
            List<String> lines =
                    new String(stored, StandardCharsets.UTF_8).lines().toList();
            for (int row = 0; row < lines.size(); row++) {
                assertEquals(row, JSON.readTree(lines.get(row)).get("row").intValue());
                assertEquals(part, JSON.readTree(lines.get(row)).get("part").intValue());
            }
            rows += lines.size();
        }
        assertEquals(rows, manifest.get("rows").longValue());
    }

    private List<JsonNode> rows(String id) throws IOException {
        List<JsonNode> rows = new ArrayList<>();
        for (String part : parts(id)) {
            for (String line : new String(get(id + "/" + part), StandardCharsets.UTF_8)
                    .lines()
                    .toList()) {
                rows.add(JSON.readTree(line));
            }
        }
        return rows;
    }

    private List<String> parts(String id) {
        return keys(id).stream()
                .map(key -> key.substring(key.lastIndexOf('/') + 1))
                // If s3proxy is killed while it writes, it leaves part-00011.jsonl-UUID, which is not the name of a
                // part.
                .filter(name -> name.matches("part-[0-9]{5}\\.jsonl"))
                .toList();
    }

    private List<String> keys(String id) {
        return store
                .client()
                .listObjectsV2(r -> r.bucket(S3Server.BUCKET).prefix("results/" + id + "/"))
                .contents()
                .stream()
                .map(S3Object::key)
                .toList();
    }

    private byte[] get(String name) {
        return store.client()
                .getObjectAsBytes(r -> r.bucket(S3Server.BUCKET).key("results/" + name))
                .asByteArray();
    }

    private void delete(String name) {
        store.client().deleteObject(r -> r.bucket(S3Server.BUCKET).key("results/" + name));
    }

    private String put(String key, byte[] content) {
        return store.client()
                .putObject(r -> r.bucket(S3Server.BUCKET).key(key), RequestBody.fromBytes(content))
                .eTag()
                .replace("\"", "");
    }

    private static ValidatableResponse notify(String key) {
        return event(notification(S3Server.BUCKET, key, ""));
    }

    private static ValidatableResponse event(Map<String, Object> notification) {
        return given().contentType("application/json")
                .body(notification)
                .post("/v1/jobs")
                .then();
    }

    private HttpRequest post(Map<String, Object> notification) throws IOException {
        return HttpRequest.newBuilder(url)
                .header("content-type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(JSON.writeValueAsString(notification)))
                .build();
    }

    private static Map<String, Object> notification(String bucket, String key, String etag) {
        return records(List.of(record(bucket, key, etag)));
    }

    private static Map<String, Object> records(List<Map<String, Object>> records) {
        return Map.of("Records", records);
    }

    /** Returns a notification as S3 sends it. */
    private static Map<String, Object> record(String bucket, String key, String etag) {
        return Map.of(
                "eventVersion",
                "2.1",
                "eventSource",
                "aws:s3",
                "eventName",
                "ObjectCreated:Put",
                "s3",
                Map.of(
                        "bucket",
                        Map.of("name", bucket, "arn", "arn:aws:s3:::" + bucket),
                        "object",
                        Map.of("key", URLEncoder.encode(key, StandardCharsets.UTF_8), "eTag", etag)));
    }
}
