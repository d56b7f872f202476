package io.softcall.function;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.softcall.SoftcallException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/**
 * A request in a record of Kafka: a CloudEvent in binary or structured mode, or plain JSON.
 *
 * @param id the request's own, or its place where it has none
 * @param eventId of the event that answers it: the same each time, and no other request's
 */
record KafkaRequest(String id, String eventId, ClassifyRequest request) {

    private static final String TYPE = "io.softcall.classify";

    /** @throws SoftcallException {@code INVALID_REQUEST} when it holds none */
    static KafkaRequest parse(ConsumerRecord<byte[], byte[]> message) {
        if (message.value() == null) {
            throw SoftcallException.invalid("the record has no value, expected a request in JSON");
        }
        String contentType = header(message, "content-type").orElse("");
        if (contentType.startsWith("application/cloudevents-batch")) {
            throw SoftcallException.invalid("content-type is %s, expected one event a record", contentType);
        }
        if (contentType.startsWith("application/cloudevents")) {
            return structured(ClassifyRequest.read(message.value()));
        }
        if (header(message, "ce_specversion").isPresent()) {
            return event(
                    header(message, "ce_type"),
                    header(message, "ce_source"),
                    header(message, "ce_id"),
                    ClassifyRequest.read(message.value()));
        }
        return plain(message, ClassifyRequest.read(message.value()));
    }

    private static KafkaRequest structured(JsonNode event) {
        JsonNode data = event.path("data");
        if (event.has("data_base64")) {
            try {
                data = ClassifyRequest.read(event.get("data_base64").binaryValue());
            } catch (IOException e) {
                throw SoftcallException.invalid("data_base64 is no base64: %s", e.getMessage());
            }
        }
        return event(text(event, "type"), text(event, "source"), text(event, "id"), data);
    }

    private static KafkaRequest event(
            Optional<String> type, Optional<String> source, Optional<String> id, JsonNode data) {
        if (!type.equals(Optional.of(TYPE))) {
            throw SoftcallException.invalid("the event's type is %s, expected %s", type.orElse("missing"), TYPE);
        }
        if (source.isEmpty() || id.isEmpty()) {
            throw SoftcallException.invalid("the event has no %s", source.isEmpty() ? "source" : "id");
        }
        return new KafkaRequest(id.get(), source.get() + "#" + id.get(), ClassifyRequest.of(data));
    }

    private static KafkaRequest plain(ConsumerRecord<byte[], byte[]> message, JsonNode body) {
        if (!(body instanceof ObjectNode fields) || !fields.has("id")) {
            String place = "%s/%d/%d".formatted(message.topic(), message.partition(), message.offset());
            return new KafkaRequest(place, place, ClassifyRequest.of(body));
        }
        String id = text(fields, "id").orElseThrow(() -> SoftcallException.invalid("id is no text, or empty"));
        fields.remove("id");
        return new KafkaRequest(id, message.topic() + "#" + id, ClassifyRequest.of(fields));
    }

    private static Optional<String> header(ConsumerRecord<byte[], byte[]> message, String name) {
        Header header = message.headers().lastHeader(name);
        return header == null || header.value() == null
                ? Optional.empty()
                : Optional.of(new String(header.value(), StandardCharsets.UTF_8))
                        .filter(value -> !value.isEmpty());
    }

    private static Optional<String> text(JsonNode node, String name) {
        return Optional.ofNullable(node.path(name).textValue()).filter(value -> !value.isEmpty());
    }
}
