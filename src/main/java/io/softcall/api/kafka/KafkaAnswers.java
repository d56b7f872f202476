package io.softcall.api.kafka;

import io.cloudevents.CloudEvent;
import io.cloudevents.kafka.KafkaMessageFactory;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.api.Errors;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jboss.logging.Logger;

/**
 * Writes the answers to the records of a topic, and dead letters for records that cannot be answered. Not thread-safe.
 */
final class KafkaAnswers implements AutoCloseable {

    private static final Logger LOG = Logger.getLogger(KafkaAnswers.class);

    private static final Duration MAX_BLOCK = Duration.ofSeconds(30);
    private static final Duration CLOSE_LIMIT = Duration.ofSeconds(2);

    private final KafkaTopic topic;
    private final MeterRegistry metrics;
    private final Producer<byte[], byte[]> producer;

    /** @param client connection settings */
    KafkaAnswers(KafkaTopic topic, Map<String, Object> client, MeterRegistry metrics) {
        Map<String, Object> settings = new HashMap<>(client);
        settings.put(ProducerConfig.ACKS_CONFIG, "all");
        settings.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
        // If delivery of an answer timed out, later answers would overtake it.
        settings.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, Integer.MAX_VALUE);
        // Bounds the wait for a missing topic: the session ends, and health reports it.
        settings.putIfAbsent(ProducerConfig.MAX_BLOCK_MS_CONFIG, MAX_BLOCK.toMillis());
        // The topic decides which records are too large.
        settings.put(ProducerConfig.MAX_REQUEST_SIZE_CONFIG, Integer.MAX_VALUE);
        settings.put(ProducerConfig.LINGER_MS_CONFIG, 0);
        this.topic = topic;
        this.metrics = metrics;
        this.producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private record Sent(KafkaChunk.Outcome outcome, List<Future<RecordMetadata>> acknowledged) {}

    /**
     * Writes outcomes in order, and returns when the broker has acknowledged all of them.
     *
     * @throws KafkaException when the broker refuses one; earlier ones may have been written
     */
    void write(List<KafkaChunk.Outcome> outcomes) {
        List<KafkaChunk.Outcome> refused = send(outcomes);
        log(Stream.concat(outcomes.stream(), refused.stream())
                .filter(KafkaChunk.DeadLetter.class::isInstance)
                .map(KafkaChunk.DeadLetter.class::cast)
                .toList());
        if (!send(refused).isEmpty()) {
            throw new KafkaException(
                    "topic %s refuses a dead letter as too large: its max.message.bytes must be a few KB larger than that of %s"
                            .formatted(topic.deadLetters(), topic.name()));
        }
    }

    /** Logs one line for all dead letters, so that the senders of records cannot flood the log. */
    private static void log(List<KafkaChunk.DeadLetter> letters) {
        if (!letters.isEmpty()) {
            ConsumerRecord<byte[], byte[]> first = letters.getFirst().message();
            LOG.warnf(
                    "%d records become dead letters; the first is %s/%d/%d: %s",
                    letters.size(),
                    first.topic(),
                    first.partition(),
                    first.offset(),
                    letters.getFirst().problem().reason());
        }
    }

    /** @return dead letters for the outcomes that the topic refuses as too large */
    private List<KafkaChunk.Outcome> send(List<KafkaChunk.Outcome> outcomes) {
        List<Sent> sent = new ArrayList<>();
        for (KafkaChunk.Outcome outcome : outcomes) {
            sent.add(new Sent(
                    outcome, messages(outcome).stream().map(producer::send).toList()));
        }
        producer.flush();
        List<KafkaChunk.Outcome> refused = new ArrayList<>();
        for (Sent one : sent) {
            if (areAccepted(one.acknowledged())) {
                count(one.outcome());
            } else {
                refused.add(new KafkaChunk.DeadLetter(
                        one.outcome().message(),
                        new SoftcallException(
                                Reason.INVALID_REQUEST,
                                "the answer is larger than topic %s accepts: send fewer texts in a record"
                                        .formatted(topic.answers()))));
            }
        }
        return refused;
    }

    /** @return false when the topic refuses a message as too large */
    private static boolean areAccepted(List<Future<RecordMetadata>> acknowledged) {
        boolean accepted = true;
        for (Future<RecordMetadata> one : acknowledged) {
            try {
                one.get();
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof RecordTooLargeException)) {
                    throw new KafkaException("the broker refuses an answer: " + e.getCause(), e.getCause());
                }
                accepted = false;
            } catch (InterruptedException e) {
                throw new InterruptException(e);
            }
        }
        return accepted;
    }

    private List<ProducerRecord<byte[], byte[]>> messages(KafkaChunk.Outcome outcome) {
        return switch (outcome) {
            case KafkaChunk.Answer(var request, var events) ->
                events.stream().map(event -> message(request, event)).toList();
            case KafkaChunk.DeadLetter letter -> List.of(message(letter));
        };
    }

    private ProducerRecord<byte[], byte[]> message(ConsumerRecord<byte[], byte[]> request, CloudEvent event) {
        int partition = partition(topic.answers(), request);
        return KafkaMessageFactory.createWriter(topic.answers(), partition, request.key())
                .writeBinary(event);
    }

    private ProducerRecord<byte[], byte[]> message(KafkaChunk.DeadLetter letter) {
        ConsumerRecord<byte[], byte[]> request = letter.message();
        Errors.Error error = Errors.body(letter.problem()).error();
        ProducerRecord<byte[], byte[]> message = new ProducerRecord<>(
                topic.deadLetters(),
                partition(topic.deadLetters(), request),
                // Without the request's timestamp: the retention time of the topic would delete an old one at once.
                null,
                request.key(),
                request.value(),
                request.headers());
        Headers headers = message.headers();
        add(headers, "dead-letter-code", error.type());
        add(headers, "dead-letter-reason", error.message());
        add(headers, "dead-letter-topic", request.topic());
        add(headers, "dead-letter-partition", Integer.toString(request.partition()));
        add(headers, "dead-letter-offset", Long.toString(request.offset()));
        add(headers, "dead-letter-timestamp", Long.toString(request.timestamp()));
        return message;
    }

    /** Maps each partition to one partition, which keeps its order whatever the keys are. */
    private int partition(String name, ConsumerRecord<byte[], byte[]> request) {
        return request.partition() % producer.partitionsFor(name).size();
    }

    private static void add(Headers headers, String name, String value) {
        headers.add(name, value.getBytes(StandardCharsets.UTF_8));
    }

    private void count(KafkaChunk.Outcome outcome) {
        String label =
                switch (outcome) {
                    case KafkaChunk.Answer answer -> "ok";
                    case KafkaChunk.DeadLetter(var message, var problem) ->
                        problem.reason().name().toLowerCase(Locale.ROOT);
                };
        metrics.counter("softcall.kafka.records", "topic", topic.name(), "outcome", label)
                .increment();
    }

    @Override
    public void close() {
        producer.close(CLOSE_LIMIT);
    }
}
