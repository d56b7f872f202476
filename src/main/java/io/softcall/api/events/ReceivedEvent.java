package io.softcall.api.events;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.core.message.MessageReader;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.jackson.JsonFormatOptions;
import io.softcall.SoftcallException;
import io.softcall.api.json.RequestJson;
import java.net.URI;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * A CloudEvent as it came, whatever carried it. The CloudEvents SDK reads its attributes; its data is JSON whatever its content
 * type says: senders leave that out, or name their own.
 *
 * @param attributes of the event, without its data
 */
public record ReceivedEvent(CloudEvent attributes, JsonNode data) {

    private static final List<String> REQUIRED = List.of("specversion", "id", "source", "type");

    private static final String DATA = "data";
    private static final String DATA_BASE64 = "data_base64";

    /** Softcall as the source of the events that it answers with. */
    private static final URI SOFTCALL = URI.create("softcall");

    private static final JsonMapper JSON = JsonMapper.builder()
            .addModule(JsonFormat.getCloudEventJacksonModule(JsonFormatOptions.builder()
                    .forceExtensionNameLowerCaseDeserialization(true)
                    .forceIgnoreInvalidExtensionNameDeserialization(true)
                    .build()))
            .build();

    /**
     * An event in the JSON format.
     *
     * @throws SoftcallException {@code INVALID_REQUEST} when it is none
     */
    public static ReceivedEvent structured(JsonNode message) {
        if (!(message instanceof ObjectNode fields)) {
            throw SoftcallException.invalid("the event is no JSON object");
        }
        require(name -> Optional.ofNullable(fields.path(name).textValue()));
        JsonNode data = fields.remove(DATA);
        if (data != null && fields.has(DATA_BASE64)) {
            throw SoftcallException.invalid("the event has data and data_base64, expected one of them");
        }
        RequestJson.repeatable("an attribute of the event", fields.toString());
        CloudEvent event = read(() -> JSON.treeToValue(fields, CloudEvent.class));
        if (data != null) {
            return new ReceivedEvent(event, unquoted(data));
        }
        if (event.getData() == null) {
            throw SoftcallException.invalid("the event has no data");
        }
        return new ReceivedEvent(
                event, RequestJson.read(DATA_BASE64, event.getData().toBytes()));
    }

    /**
     * An event whose attributes stand beside its data.
     *
     * @param attributes looks one up by its name
     * @param reader reads all attributes, and no data
     * @throws SoftcallException {@code INVALID_REQUEST} when it is none
     */
    public static ReceivedEvent binary(
            Function<String, Optional<String>> attributes, Supplier<MessageReader> reader, byte[] data) {
        require(attributes);
        CloudEvent event = read(() -> reader.get().toEvent());
        return new ReceivedEvent(event, RequestJson.read("the event's data", data));
    }

    private static void require(Function<String, Optional<String>> attributes) {
        for (String name : REQUIRED) {
            if (attributes.apply(name).filter(value -> !value.isBlank()).isEmpty()) {
                throw SoftcallException.invalid("the event has no %s, expected a text", name);
            }
        }
    }

    private static CloudEvent read(Callable<CloudEvent> reading) {
        try {
            return reading.call();
        } catch (Exception e) {
            // Its message may repeat a value.
            throw SoftcallException.invalid(
                    "the event is no CloudEvent of version 1.0 or 0.3: source must be a URI, time as RFC 3339 has it,"
                            + " extensions texts, integers or truth values");
        }
    }

    /** JSON in a text is what a sender makes of a content type that is not JSON's. */
    private static JsonNode unquoted(JsonNode data) {
        return data.isTextual() ? RequestJson.read("the event's data", data.textValue()) : data;
    }

    public String type() {
        return attributes.getType();
    }

    /** What names this event, wherever it comes from: its source and its id. */
    public String key() {
        return attributes.getSource() + "#" + attributes.getId();
    }

    /**
     * An event that answers this one: it keeps the subject and all extensions, among them partition key and trace.
     *
     * @param id the same however often this event comes
     * @param subject of its own, in place of this one's
     * @param data becomes JSON
     */
    public CloudEvent reply(String id, String type, Optional<String> subject, Object data) {
        return complete(CloudEventBuilder.v1(attributes), id, type, subject, data);
    }

    /** The same for what came without an event around it. */
    public static CloudEvent replyToNone(String id, String type, Optional<String> subject, Object data) {
        return complete(CloudEventBuilder.v1(), id, type, subject, data);
    }

    private static CloudEvent complete(
            CloudEventBuilder reply, String id, String type, Optional<String> subject, Object data) {
        subject.ifPresent(reply::withSubject);
        return reply.withId(id)
                .withSource(SOFTCALL)
                .withType(type)
                .withTime(OffsetDateTime.now(ZoneOffset.UTC))
                .withData("application/json", null, json(data))
                .build();
    }

    private static byte[] json(Object data) {
        try {
            return JSON.writeValueAsBytes(data);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("an answer is always JSON", e);
        }
    }
}
