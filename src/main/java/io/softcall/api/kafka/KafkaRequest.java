package io.softcall.api.kafka;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.softcall.SoftcallException;
import io.softcall.api.events.Events;
import io.softcall.api.events.ReceivedEvent;
import io.softcall.api.json.ClassifyRequest;
import io.softcall.api.json.RequestJson;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * A classification request in a Kafka record.
 *
 * @param id the request's id, or the record's topic, partition and offset when it has none
 * @param answerId the id of the event that answers it: the same at each delivery, and different for each request
 */
public record KafkaRequest(KafkaContent content, String id, String answerId, ClassifyRequest request) {

    /** @throws SoftcallException {@code INVALID_REQUEST} when the record contains no valid request */
    public static KafkaRequest parse(ConsumerRecord<byte[], byte[]> message) {
        return switch (KafkaContent.of(message)) {
            case KafkaContent.Event content -> event(content);
            case KafkaContent.Plain content -> plain(message, content);
        };
    }

    private static KafkaRequest event(KafkaContent.Event content) {
        ReceivedEvent event = content.event();
        if (!event.type().equals(Events.CLASSIFY)) {
            throw SoftcallException.invalid("the event's type is %s, expected %s", event.type(), Events.CLASSIFY);
        }
        return new KafkaRequest(content, event.attributes().getId(), event.key(), ClassifyRequest.of(event.data()));
    }

    private static KafkaRequest plain(ConsumerRecord<byte[], byte[]> message, KafkaContent.Plain content) {
        if (!(content.data() instanceof ObjectNode fields) || !fields.has("id")) {
            String place = "%s/%d/%d".formatted(message.topic(), message.partition(), message.offset());
            return new KafkaRequest(content, place, place, ClassifyRequest.of(content.data()));
        }
        String id = Optional.ofNullable(fields.remove("id").textValue())
                .filter(value -> !value.isEmpty())
                .map(value -> RequestJson.repeatable("id", value))
                .orElseThrow(() -> SoftcallException.invalid("id is empty or not a text"));
        return new KafkaRequest(content, id, message.topic() + "#" + id, ClassifyRequest.of(fields));
    }
}
