package io.softcall.api.lambda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.Lambda;
import io.softcall.Queues;
import io.softcall.S3Server;
import io.softcall.Tiny;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.core.sync.RequestBody;

/** The build {@code lambda-events}: messages of SQS, notifications of S3, and items of a Distributed Map. */
@Tag("lambda")
class LambdaEventsTest {

    private static final JsonMapper JSON = new JsonMapper();

    private static Queues queues;

    @BeforeAll
    static void start() throws IOException, InterruptedException {
        queues = new Queues();
    }

    @AfterAll
    static void stop() {
        queues.close();
    }

    @Test
    void oneBadMessageComesBackAlone() throws Exception {
        List<Tiny.Row> sentiment = Tiny.golden("sentiment");
        List<Map<String, Object>> messages = new ArrayList<>();
        for (int i = 0; i < sentiment.size(); i++) {
            messages.add(
                    message("s" + i, null, request("sentiment", sentiment.get(i).input())));
        }
        messages.add(message("not-json", null, "{\"model\": "));
        Tiny.Row pair = Tiny.golden("pair").getFirst();
        messages.add(message("pair", null, request("pair", List.of(pair.input()))));
        String url = queues.create("of-one-bad-message");
        try (Lambda function = sqs(url)) {
            assertEquals(List.of("not-json"), failures(function.invoke(Map.of("Records", messages))));
        }
        Map<String, JsonNode> answers = new HashMap<>();
        queues.drain(url).forEach(message -> answers.put(message.requestId(), message.body()));

        assertEquals(sentiment.size() + 1, answers.size());
        for (int i = 0; i < sentiment.size(); i++) {
            assertAnswer(sentiment.get(i), answers.get("s" + i));
        }
        assertAnswer(pair, answers.get("pair"));
    }

    /**
     * A text that only the tokenizer finds too long makes the shared call of its task's messages fail, but not the other
     * messages.
     */
    @Test
    void aTextThatIsTooLongSpoilsNoOther() throws Exception {
        List<Tiny.Row> rows = Tiny.golden("sentiment");
        List<Map<String, Object>> messages = List.of(
                message("first", null, request("sentiment", rows.get(0).input())),
                message("long", null, request("sentiment", "good ".repeat(3_000))),
                message("blank", null, request("sentiment", " ")),
                message("unknown", null, request("no/such", "x")),
                message("last", null, request("sentiment", rows.get(1).input())));
        String url = queues.create("of-a-long-text");
        try (Lambda function = sqs(url)) {
            List<String> failed = failures(function.invoke(Map.of("Records", messages)));
            assertEquals(Set.of("long", "blank", "unknown"), Set.copyOf(failed));
            assertEquals(3, failed.size());
        }
        assertEquals(
                Set.of("first", "last"),
                queues.drain(url).stream().map(Queues.Message::requestId).collect(Collectors.toSet()));
    }

    @Test
    void groupsOfFifoQueuesKeepTheirOrder() throws Exception {
        Tiny.Row row = Tiny.golden("sentiment").getFirst();
        String good = request("sentiment", row.input());
        List<Map<String, Object>> messages = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            messages.add(message("a" + i, "a", good));
        }
        messages.add(message("b0", "b", good));
        messages.add(message("b1", "b", "[]"));
        messages.add(message("b2", "b", good));
        String url = queues.create("results.fifo");
        try (Lambda function = sqs(url)) {
            Map<String, Object> event = Map.of("Records", messages);
            assertEquals(List.of("b1", "b2"), failures(function.invoke(event)));
            // The messages are delivered again, but the queue of results knows their ids.
            assertEquals(List.of("b1", "b2"), failures(function.invoke(event)));
        }
        List<String> ids =
                queues.drain(url).stream().map(Queues.Message::requestId).toList();

        assertEquals(
                messages.subList(0, 12).stream()
                        .map(message -> message.get("messageId"))
                        .toList(),
                ids.stream().filter(id -> id.startsWith("a")).toList());
        assertEquals(
                List.of("b0"), ids.stream().filter(id -> id.startsWith("b")).toList());
    }

    @Test
    void itemsAreRowsInOrder() throws Exception {
        List<Tiny.Row> rows = Tiny.golden("sentiment");
        Tiny.Row pair = Tiny.golden("pair").getFirst();
        List<Object> items = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
            items.add(Map.of("id", i, "text", rows.get(i).texts().getFirst()));
        }
        items.add(Map.of(
                "id",
                "p",
                "task",
                "pair",
                "text1",
                pair.texts().get(0),
                "text2",
                pair.texts().get(1)));
        items.add(Map.of("id", "u", "task", "no/such", "text", "x"));
        items.add(Map.of("id", "e", "text", " "));
        items.add(Map.of("id", "n", "txt", "x"));
        items.add(Map.of("id", "both", "text", "x", "text1", "y", "text2", "z"));
        try (Lambda function = new Lambda("lambda-events", Map.of("QUARKUS_LAMBDA_HANDLER", "items"))) {
            JsonNode answer = function.invoke(Map.of("Items", items, "BatchInput", Map.of("task", "sentiment")));
            JsonNode results = answer.get("results");

            assertEquals(items.size(), results.size(), answer::toString);
            for (int i = 0; i < rows.size(); i++) {
                assertEquals(i, results.get(i).get("id").intValue());
                assertEquals("sentiment", results.get(i).get("task").textValue());
                assertScore(rows.get(i), results.get(i).get("score"));
            }
            assertScore(pair, results.get(rows.size()).get("score"));
            assertProblem("u", "unknown_task", results.get(rows.size() + 1));
            assertProblem("e", "invalid_request", results.get(rows.size() + 2));
            assertProblem("n", "invalid_request", results.get(rows.size() + 3));
            // Rows are like those of files: one text or two, and ids as they were written.
            assertProblem("both", "invalid_request", results.get(rows.size() + 4));
            String[] ids = {"1e400", "0.10000000000000000555", "1e2", "\"\ud83d\ude00\""};
            String written = function.invokeRaw("{\"BatchInput\": {\"task\": \"sentiment\"}, \"Items\": ["
                    + Arrays.stream(ids)
                            .map("{\"id\": %s, \"text\": \"a\"}"::formatted)
                            .collect(Collectors.joining(", "))
                    + "]}");
            for (String id : ids) {
                assertTrue(written.contains("\"id\":" + id + ","), written);
            }

            assertTrue(function.invoke(Map.of("Nothing", 1))
                    .get("errorMessage")
                    .textValue()
                    .contains("Items"));
        }
    }

    /** A failure that is not a fault of the rows makes the call fail, so that the state machine retries it. */
    @Test
    void aStoreThatIsAwayFailsTheCall() throws Exception {
        Map<String, String> away = Map.of(
                "QUARKUS_LAMBDA_HANDLER", "items",
                "SOFTCALL_STORE_URI", "s3://bucket/prompts",
                "AWS_ENDPOINT_URL", "http://127.0.0.1:9",
                "AWS_ACCESS_KEY_ID", "test",
                "AWS_SECRET_ACCESS_KEY", "testsecret");
        try (Lambda function = new Lambda("lambda-events", away)) {
            JsonNode answer = function.invoke(Map.of("Items", List.of(Map.of("task", "sentiment", "text", "x"))));

            assertEquals(
                    "io.softcall.SoftcallException", answer.path("errorType").textValue(), answer::toString);
        }
    }

    @Test
    void aFileThatLandsBecomesAJob() throws Exception {
        List<Tiny.Row> rows = Tiny.golden("sentiment");
        StringBuilder lines = new StringBuilder();
        for (Tiny.Row row : rows) {
            lines.append(JSON.writeValueAsString(Map.of("text", row.texts().getFirst())))
                    .append('\n');
        }
        S3Server store = new S3Server();
        try {
            Map<String, String> environment = new TreeMap<>(Map.of(
                    "QUARKUS_LAMBDA_HANDLER", "s3",
                    "SOFTCALL_JOBS_BUCKETS", S3Server.BUCKET,
                    "SOFTCALL_JOBS_OUTPUT", "s3://" + S3Server.BUCKET + "/results",
                    "SOFTCALL_JOBS_RULES_ALL_KEYS", "in/*",
                    "SOFTCALL_JOBS_RULES_ALL_TASK", "sentiment"));
            environment.putAll(Tiny.environment(store.start()));
            store.client()
                    .putObject(
                            request -> request.bucket(S3Server.BUCKET).key("in/a b.jsonl"),
                            RequestBody.fromString(lines.toString()));
            Map<String, Object> created = Map.of(
                    "eventSource", "aws:s3",
                    "eventName", "ObjectCreated:Put",
                    "s3", Map.of("bucket", Map.of("name", S3Server.BUCKET), "object", Map.of("key", "in/a+b.jsonl")));
            try (Lambda function = new Lambda("lambda-events", environment)) {
                JsonNode report = function.invoke(Map.of("Records", List.of(created)));

                assertEquals(rows.size(), report.path("rows").intValue(), report::toString);
                assertEquals(0, report.path("errors").intValue(), report::toString);
                String part = report.get("output").textValue().replace("s3://" + S3Server.BUCKET + "/", "");
                String[] results = store.client()
                        .getObjectAsBytes(
                                request -> request.bucket(S3Server.BUCKET).key(part + "part-00000.jsonl"))
                        .asUtf8String()
                        .split("\n");
                for (int i = 0; i < rows.size(); i++) {
                    assertScore(rows.get(i), JSON.readTree(results[i]).get("score"));
                }
            }
        } finally {
            store.stop();
        }
    }

    private static Lambda sqs(String url) throws IOException {
        Map<String, String> environment = new TreeMap<>(queues.environment(url));
        environment.put("QUARKUS_LAMBDA_HANDLER", "sqs");
        return new Lambda("lambda-events", environment);
    }

    private static String request(String task, Object input) throws IOException {
        return JSON.writeValueAsString(Map.of("model", task, "input", input));
    }

    private static Map<String, Object> message(String id, String group, String body) {
        return Map.of(
                "messageId",
                id,
                "receiptHandle",
                "handle-" + id,
                "body",
                body,
                "attributes",
                group == null ? Map.of() : Map.of("MessageGroupId", group),
                "messageAttributes",
                Map.of(),
                "eventSource",
                "aws:sqs",
                "eventSourceARN",
                "arn:aws:sqs:us-east-1:123456789012:requests",
                "awsRegion",
                "us-east-1");
    }

    private static List<String> failures(JsonNode answer) {
        return StreamSupport.stream(answer.path("batchItemFailures").spliterator(), false)
                .map(failure -> failure.get("itemIdentifier").textValue())
                .toList();
    }

    private static void assertAnswer(Tiny.Row row, JsonNode answer) {
        JsonNode probs = answer.at("/data/0/probs");
        assertEquals(row.probs().length, probs.size());
        for (int i = 0; i < row.probs().length; i++) {
            assertEquals(row.probs()[i], probs.get(i).doubleValue(), 1e-4);
        }
    }

    private static void assertScore(Tiny.Row row, JsonNode score) {
        double best = 0;
        for (double probability : row.probs()) {
            best = Math.max(best, probability);
        }
        assertEquals(best, score.doubleValue(), 1e-4);
    }

    private static void assertProblem(String id, String code, JsonNode result) {
        assertEquals(id, result.get("id").textValue());
        assertEquals(code, result.at("/error/code").textValue());
    }
}
