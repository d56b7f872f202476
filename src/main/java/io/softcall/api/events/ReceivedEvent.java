package io.softcall.api.events;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.cloudevents.CloudEvent;
import io.cloudevents.SpecVersion;
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
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A CloudEvent from any protocol. The CloudEvents SDK reads its attributes. Its data is read as JSON regardless of the
 * declared content type, because senders often omit that type or use their own.
 *
 * @param attributes the event without its data
 */
public record ReceivedEvent(CloudEvent attributes, JsonNode data) {

    private static final List<String> REQUIRED = List.of("specversion", "id", "source", "type");

    private static final String DATA = "data";
    private static final String DATA_BASE64 = "data_base64";

    /** The source of the events that Softcall sends as answers. */
    private static final URI SOFTCALL = URI.create("softcall");

    private static final Pattern EXTENSION = Pattern.compile("[a-z0-9]+");

    /** The names of version 1.0 that are not extensions. */
    private static final Set<String> RESERVED = Stream.concat(
                    SpecVersion.V1.getAllAttributes().stream(), Stream.of(DATA))
            .collect(Collectors.toUnmodifiableSet());

    private static final JsonMapper JSON = JsonMapper.builder()
            .addModule(JsonFormat.getCloudEventJacksonModule(JsonFormatOptions.builder()
                    .forceExtensionNameLowerCaseDeserialization(true)
                    .forceIgnoreInvalidExtensionNameDeserialization(true)
                    .build()))
            .build();

    /**
     * Reads an event in the JSON format.
     *
     * @throws SoftcallException {@code INVALID_REQUEST} when the message is not a valid event
     */
    public static ReceivedEvent structured(JsonNode message) {
        if (!(message instanceof ObjectNode fields)) {
            throw SoftcallException.invalid("the event is not a JSON object");
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
     * Reads an event whose attributes are separate from its data.
     *
     * @param attributes returns an attribute by its name
     * @param reader reads all attributes, and no data
     * @throws SoftcallException {@code INVALID_REQUEST} when they are not a valid event
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
            // The exception's message may repeat a value.
            throw SoftcallException.invalid(
                    "the event is not a CloudEvent of version 1.0 or 0.3: source must be a URI, time must follow RFC 3339,"
                            + " and extensions must be texts, integers or Booleans");
        }
    }

    /** Parses JSON inside a JSON text: senders produce that when the content type is not JSON. */
    private static JsonNode unquoted(JsonNode data) {
        return data.isTextual() ? RequestJson.read("the event's data", data.textValue()) : data;
    }

    public String type() {
        return attributes.getType();
    }

    /** Returns the source and the id, which identify this event among all. */
    public String key() {
        return attributes.getSource() + "#" + attributes.getId();
    }

    /**
     * Returns an event that answers this one. It keeps the subject and all extensions, including the partition key and
     * trace context.
     *
     * @param id must be the same at each delivery of this event
     * @param subject replaces this event's subject when present
     * @param data is written as JSON
     */
    public CloudEvent reply(String id, String type, Optional<String> subject, Object data) {
        CloudEventBuilder reply = CloudEventBuilder.v1(attributes);
        attributes.getExtensionNames().stream()
                .filter(name -> !isExtension(name))
                .forEach(reply::withoutExtension);
        return complete(reply, id, type, subject, data);
    }

    /**
     * Returns whether an event of version 1.0 may have an extension of this name. Events of version 0.3 may have one that is
     * an attribute in 1.0, and the SDK accepts the empty name.
     */
    private static boolean isExtension(String name) {
        return EXTENSION.matcher(name).matches() && !RESERVED.contains(name);
    }

    /** Returns an event that answers a request without a CloudEvent around it. */
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
            throw new IllegalStateException("an answer can always be written as JSON", e);
        }
    }
}
