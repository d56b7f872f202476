package io.softcall.function;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.SoftcallException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/** What a record of Kafka holds: a CloudEvent in binary or structured mode, or plain JSON. */
sealed interface KafkaContent {

    JsonNode data();

    record Plain(JsonNode data) implements KafkaContent {}

    record Event(Optional<String> type, Optional<String> source, Optional<String> id, JsonNode data)
            implements KafkaContent {}

    /** @throws SoftcallException {@code INVALID_REQUEST} when it holds none of these */
    static KafkaContent of(ConsumerRecord<byte[], byte[]> message) {
        if (message.value() == null) {
            throw SoftcallException.invalid("the record has no value, expected a request in JSON");
        }
        String contentType = header(message, "content-type").orElse("");
        if (contentType.startsWith("application/cloudevents-batch")) {
            throw SoftcallException.invalid("content-type is %s, expected one event a record", contentType);
        }
        JsonNode value = ClassifyRequest.read(message.value());
        if (contentType.startsWith("application/cloudevents")) {
            return structured(value);
        }
        if (header(message, "ce_specversion").isPresent()) {
            return new Event(header(message, "ce_type"), header(message, "ce_source"), header(message, "ce_id"), value);
        }
        return new Plain(value);
    }

    private static Event structured(JsonNode event) {
        JsonNode data = event.path("data");
        if (event.has("data_base64")) {
            try {
                data = ClassifyRequest.read(event.get("data_base64").binaryValue());
            } catch (IOException e) {
                throw SoftcallException.invalid("data_base64 is no base64: %s", e.getMessage());
            }
        }
        return new Event(text(event, "type"), text(event, "source"), text(event, "id"), data);
    }

    private static Optional<String> header(ConsumerRecord<byte[], byte[]> message, String name) {
        Header header = message.headers().lastHeader(name);
        return header == null || header.value() == null
                ? Optional.empty()
                : Optional.of(new String(header.value(), StandardCharsets.UTF_8))
                        .filter(value -> !value.isEmpty());
    }

    /** The text of a field; empty where it is missing, empty or something else. */
    static Optional<String> text(JsonNode node, String name) {
        return Optional.ofNullable(node.path(name).textValue()).filter(value -> !value.isEmpty());
    }
}
