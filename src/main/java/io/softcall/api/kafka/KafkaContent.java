package io.softcall.api.kafka;

import com.fasterxml.jackson.databind.JsonNode;
import io.cloudevents.CloudEvent;
import io.cloudevents.kafka.KafkaMessageFactory;
import io.softcall.SoftcallException;
import io.softcall.api.events.ReceivedEvent;
import io.softcall.api.json.RequestJson;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;

/** The content of a Kafka record: a CloudEvent in binary or structured mode, or plain JSON. */
sealed interface KafkaContent {

    JsonNode data();

    /** Returns an event that answers the record, as {@link ReceivedEvent#reply} does. */
    CloudEvent reply(String id, String type, Optional<String> subject, Object data);

    record Plain(JsonNode data) implements KafkaContent {

        @Override
        public CloudEvent reply(String id, String type, Optional<String> subject, Object answer) {
            return ReceivedEvent.replyToNone(id, type, subject, answer);
        }
    }

    record Event(ReceivedEvent event) implements KafkaContent {

        @Override
        public JsonNode data() {
            return event.data();
        }

        @Override
        public CloudEvent reply(String id, String type, Optional<String> subject, Object answer) {
            return event.reply(id, type, subject, answer);
        }
    }

    /** @throws SoftcallException {@code INVALID_REQUEST} when the record contains neither */
    static KafkaContent of(ConsumerRecord<byte[], byte[]> message) {
        if (message.value() == null) {
            throw SoftcallException.invalid("the record has no value, expected a request in JSON");
        }
        String contentType =
                header(message.headers(), "content-type").orElse("").toLowerCase(Locale.ROOT);
        if (contentType.startsWith("application/cloudevents-batch")) {
            throw SoftcallException.invalid("the record holds a batch, expected one event a record");
        }
        if (contentType.startsWith("application/cloudevents")) {
            return new Event(ReceivedEvent.structured(RequestJson.read("the event", message.value())));
        }
        if (header(message.headers(), "ce_specversion").isPresent()) {
            Headers attributes = attributes(message.headers());
            return new Event(ReceivedEvent.binary(
                    name -> header(attributes, "ce_" + name),
                    () -> KafkaMessageFactory.createReader(attributes, null),
                    message.value()));
        }
        return new Plain(RequestJson.read("the record", message.value()));
    }

    /** Returns the headers that are attributes of the event. Headers with other characters in their names are not. */
    private static Headers attributes(Headers headers) {
        Headers attributes = new RecordHeaders();
        headers.forEach(header -> {
            if (header.key().equals("content-type") || header.key().matches("ce_[a-z0-9]+")) {
                attributes.add(header);
            }
        });
        return attributes;
    }

    private static Optional<String> header(Headers headers, String name) {
        Header header = headers.lastHeader(name);
        return header == null || header.value() == null
                ? Optional.empty()
                : Optional.of(new String(header.value(), StandardCharsets.UTF_8))
                        .filter(value -> !value.isEmpty());
    }
}
