package io.softcall;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/** A real queue server with SQS's protocol, started by the repository's script. Tests read it without an SDK. */
public final class Queues implements AutoCloseable {

    private static final JsonMapper JSON = new JsonMapper();
    private static final Duration START = Duration.ofSeconds(120);

    private final Process process;
    private final URI endpoint;
    private final HttpClient client = HttpClient.newHttpClient();

    public Queues() throws IOException, InterruptedException {
        int port = Lambda.freePort();
        endpoint = URI.create("http://127.0.0.1:" + port);
        process = new ProcessBuilder(
                        Path.of("tools/lambda/queue").toAbsolutePath().toString(), Integer.toString(port))
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        long end = System.nanoTime() + START.toNanos();
        while (true) {
            try {
                call("ListQueues", Map.of());
                return;
            } catch (ConnectException e) {
                if (!process.isAlive() || System.nanoTime() > end) {
                    close();
                    throw new IOException("tools/lambda/queue did not come up", e);
                }
                TimeUnit.MILLISECONDS.sleep(100);
            }
        }
    }

    /** Returns the environment that a function needs to use the queues. */
    public Map<String, String> environment(String queueUrl) {
        return Map.of(
                "AWS_ENDPOINT_URL_SQS",
                endpoint.toString(),
                "AWS_ACCESS_KEY_ID",
                "test",
                "AWS_SECRET_ACCESS_KEY",
                "testsecret",
                "SOFTCALL_LAMBDA_RESULTS_QUEUE",
                queueUrl);
    }

    /** Creates a queue, and returns its URL. A name that ends with {@code .fifo} makes a FIFO queue. */
    public String create(String name) throws IOException, InterruptedException {
        Map<String, Object> request = new TreeMap<>(Map.of("QueueName", name));
        if (name.endsWith(".fifo")) {
            request.put("Attributes", Map.of("FifoQueue", "true"));
        }
        return call("CreateQueue", request).get("QueueUrl").textValue();
    }

    /** A message that was received from a queue. */
    public record Message(String requestId, JsonNode body) {}

    /** Receives all messages, in the order in which the queue returns them. */
    public List<Message> drain(String url) throws IOException, InterruptedException {
        List<Message> messages = new ArrayList<>();
        while (true) {
            JsonNode batch = call(
                            "ReceiveMessage",
                            Map.of("QueueUrl", url, "MaxNumberOfMessages", 10, "MessageAttributeNames", List.of("All")))
                    .path("Messages");
            if (batch.isEmpty()) {
                return messages;
            }
            for (JsonNode message : batch) {
                messages.add(new Message(
                        message.at("/MessageAttributes/request-id/StringValue").textValue(),
                        JSON.readTree(message.get("Body").textValue())));
                call(
                        "DeleteMessage",
                        Map.of(
                                "QueueUrl",
                                url,
                                "ReceiptHandle",
                                message.get("ReceiptHandle").textValue()));
            }
        }
    }

    private JsonNode call(String action, Map<String, ?> request) throws IOException, InterruptedException {
        HttpResponse<String> response = client.send(
                HttpRequest.newBuilder(endpoint)
                        .header("Content-Type", "application/x-amz-json-1.0")
                        .header("X-Amz-Target", "AmazonSQS." + action)
                        .POST(HttpRequest.BodyPublishers.ofString(JSON.writeValueAsString(request)))
                        .build(),
                HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new IOException(action + ": " + response.statusCode() + " " + response.body());
        }
        return JSON.readTree(response.body());
    }

    @Override
    public void close() {
        client.close();
        process.destroyForcibly();
        process.onExit().join();
    }
}
