package io.softcall.api.lambda;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.softcall.api.json.ClassifyResponse;
import jakarta.inject.Singleton;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import org.jboss.logging.Logger;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.sqs.SqsClient;
import software.amazon.awssdk.services.sqs.model.BatchResultErrorEntry;
import software.amazon.awssdk.services.sqs.model.MessageAttributeValue;
import software.amazon.awssdk.services.sqs.model.SendMessageBatchRequestEntry;

/** The queue of answers to messages. Region, credentials and endpoint are configured as for every AWS tool. */
@Singleton
class ResultsQueue {

    private static final Logger LOG = Logger.getLogger(ResultsQueue.class);

    /** Limits of SQS for one request: entries here, bytes below. */
    private static final int ENTRIES = 10;

    private static final int BYTES = 1 << 20;

    private final Optional<String> url;
    private final ObjectMapper json;
    private Optional<SqsClient> client = Optional.empty();

    ResultsQueue(@ConfigProperty(name = "softcall.lambda.results-queue") Optional<String> url, ObjectMapper json) {
        this.url = url;
        this.json = json;
    }

    /**
     * An answer to a message.
     *
     * @param id the message's id
     * @param group the message's group in a FIFO queue
     */
    record Result(String id, Optional<String> group, ClassifyResponse answer) {}

    /**
     * Sends answers in order, as many in one request as SQS accepts. After a failure, no further answers of the same
     * group are sent.
     *
     * @return the ids of the messages whose answers were sent
     * @throws IllegalStateException when no queue is configured
     */
    Set<String> send(List<Result> results) {
        String queue = url.orElseThrow(() -> new IllegalStateException(
                "softcall.lambda.results-queue is not set, expected the URL of the queue for answers"));
        Set<String> sent = new HashSet<>();
        Set<String> stopped = new HashSet<>();
        List<Result> batch = new ArrayList<>();
        List<SendMessageBatchRequestEntry> entries = new ArrayList<>();
        int bytes = 0;
        for (Result result : results) {
            String body = body(result);
            int size =
                    body.getBytes(StandardCharsets.UTF_8).length + result.id().length();
            if (entries.size() == ENTRIES || (bytes + size > BYTES && !entries.isEmpty())) {
                send(queue, batch, entries, sent, stopped);
                bytes = 0;
            }
            if (result.group().filter(stopped::contains).isEmpty()) {
                entries.add(entry(queue, entries.size(), result, body));
                batch.add(result);
                bytes += size;
            }
        }
        if (!entries.isEmpty()) {
            send(queue, batch, entries, sent, stopped);
        }
        return sent;
    }

    private void send(
            String queue,
            List<Result> batch,
            List<SendMessageBatchRequestEntry> entries,
            Set<String> sent,
            Set<String> stopped) {
        Set<Integer> failed = new HashSet<>();
        try {
            List<SendMessageBatchRequestEntry> sending = List.copyOf(entries);
            for (BatchResultErrorEntry error : client().sendMessageBatch(
                            request -> request.queueUrl(queue).entries(sending))
                    .failed()) {
                LOG.warnf("%s does not accept an answer: %s: %s", queue, error.code(), error.message());
                failed.add(Integer.valueOf(error.id()));
            }
        } catch (SdkException e) {
            LOG.warnf("%s accepts no answers: %s", queue, e.getMessage());
            for (int i = 0; i < batch.size(); i++) {
                failed.add(i);
            }
        }
        for (int i = 0; i < batch.size(); i++) {
            if (failed.contains(i)) {
                batch.get(i).group().ifPresent(stopped::add);
            } else {
                sent.add(batch.get(i).id());
            }
        }
        batch.clear();
        entries.clear();
    }

    private static SendMessageBatchRequestEntry entry(String queue, int index, Result result, String body) {
        SendMessageBatchRequestEntry.Builder entry = SendMessageBatchRequestEntry.builder()
                .id(Integer.toString(index))
                .messageBody(body)
                .messageAttributes(Map.of(
                        "request-id",
                        MessageAttributeValue.builder()
                                .dataType("String")
                                .stringValue(result.id())
                                .build()));
        if (queue.endsWith(".fifo")) {
            // With this id the queue drops a duplicate answer after a redelivery.
            entry.messageGroupId(result.group().orElse("softcall")).messageDeduplicationId(result.id());
        }
        return entry.build();
    }

    private String body(Result result) {
        try {
            return json.writeValueAsString(result.answer());
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("an answer can always be written as JSON", e);
        }
    }

    /** Returns the client, created at its first use: the other handlers need none. */
    private synchronized SqsClient client() {
        if (client.isEmpty()) {
            client = Optional.of(SqsClient.create());
        }
        return client.get();
    }
}
