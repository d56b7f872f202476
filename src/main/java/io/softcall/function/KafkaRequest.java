package io.softcall.function;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.softcall.SoftcallException;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * A request in a record of Kafka.
 *
 * @param id the request's own, or its place where it has none
 * @param eventId of the event that answers it: the same each time, and no other request's
 */
record KafkaRequest(String id, String eventId, ClassifyRequest request) {

    private static final String TYPE = "io.softcall.classify";

    /** @throws SoftcallException {@code INVALID_REQUEST} when it holds none */
    static KafkaRequest parse(ConsumerRecord<byte[], byte[]> message) {
        return switch (KafkaContent.of(message)) {
            case KafkaContent.Event event -> event(event);
            case KafkaContent.Plain(JsonNode body) -> plain(message, body);
        };
    }

    private static KafkaRequest event(KafkaContent.Event event) {
        if (!event.type().equals(Optional.of(TYPE))) {
            throw SoftcallException.invalid(
                    "the event's type is %s, expected %s", event.type().orElse("missing"), TYPE);
        }
        if (event.source().isEmpty() || event.id().isEmpty()) {
            throw SoftcallException.invalid(
                    "the event has no %s", event.source().isEmpty() ? "source" : "id");
        }
        return new KafkaRequest(
                event.id().get(), event.source().get() + "#" + event.id().get(), ClassifyRequest.of(event.data()));
    }

    private static KafkaRequest plain(ConsumerRecord<byte[], byte[]> message, JsonNode body) {
        if (!(body instanceof ObjectNode fields) || !fields.has("id")) {
            String place = "%s/%d/%d".formatted(message.topic(), message.partition(), message.offset());
            return new KafkaRequest(place, place, ClassifyRequest.of(body));
        }
        String id =
                KafkaContent.text(fields, "id").orElseThrow(() -> SoftcallException.invalid("id is no text, or empty"));
        fields.remove("id");
        return new KafkaRequest(id, message.topic() + "#" + id, ClassifyRequest.of(fields));
    }
}
