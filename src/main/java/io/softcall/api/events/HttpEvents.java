package io.softcall.api.events;

import com.fasterxml.jackson.databind.JsonNode;
import io.cloudevents.CloudEvent;
import io.cloudevents.http.HttpMessageFactory;
import io.cloudevents.jackson.JsonFormat;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.api.json.RequestJson;
import io.softcall.jobs.events.CloudEventText;
import jakarta.ws.rs.core.MultivaluedMap;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.regex.Pattern;

/** CloudEvents over HTTP: in binary and structured mode, and in batches (HTTP Protocol Binding 1.0.2). */
final class HttpEvents {

    private static final String CONTENT_TYPE = "content-type";
    private static final String PREFIX = "ce-";
    private static final String EVENTS = "application/cloudevents";
    private static final String STRUCTURED = EVENTS + "+json";
    private static final String BATCH = EVENTS + "-batch+json";

    private static final Pattern ATTRIBUTE = Pattern.compile("ce-[a-z0-9]+");

    private static final JsonFormat JSON = new JsonFormat();

    private HttpEvents() {}

    /** The content of a request; its answer has the same form. */
    sealed interface Message {

        /** One event. */
        record One(ReceivedEvent event, boolean structured) implements Message {}

        /** Events in their order, not yet parsed: an invalid event must not fail the others. */
        record Batch(List<JsonNode> events) implements Message {}
    }

    /** A body and its headers. */
    record Encoded(Map<String, String> headers, byte[] body) {}

    /**
     * @throws SoftcallException {@code INVALID_REQUEST} or {@code UNSUPPORTED_MEDIA_TYPE} when the request contains no
     *     event
     */
    static Message read(MultivaluedMap<String, String> headers, byte[] body) {
        Map<String, String> lowerCase = new LinkedHashMap<>();
        headers.forEach((name, values) -> lowerCase.put(name.toLowerCase(Locale.ROOT), values.getFirst()));
        String type = mediaType(lowerCase.getOrDefault(CONTENT_TYPE, ""));
        if (type.equals(BATCH)) {
            return batch(RequestJson.read("the batch", body));
        }
        if (type.equals(STRUCTURED)) {
            return new Message.One(ReceivedEvent.structured(RequestJson.read("the event", body)), true);
        }
        if (type.startsWith(EVENTS)) {
            throw new SoftcallException(
                    Reason.UNSUPPORTED_MEDIA_TYPE,
                    "events in this format are not supported, expected %s, %s or ce- headers"
                            .formatted(STRUCTURED, BATCH));
        }
        if (!lowerCase.containsKey(PREFIX + "specversion")) {
            throw SoftcallException.invalid(
                    "there is no CloudEvent, expected ce- headers or `Content-Type: %s`", STRUCTURED);
        }
        return new Message.One(binary(lowerCase, body), false);
    }

    private static String mediaType(String contentType) {
        return contentType.split(";", 2)[0].strip().toLowerCase(Locale.ROOT);
    }

    private static Message batch(JsonNode events) {
        if (!events.isArray()) {
            throw SoftcallException.invalid("the batch is not a list of events");
        }
        List<JsonNode> batch = new ArrayList<>();
        events.forEach(batch::add);
        return new Message.Batch(batch);
    }

    private static ReceivedEvent binary(Map<String, String> headers, byte[] body) {
        Map<String, String> attributes = new LinkedHashMap<>();
        headers.forEach((name, value) -> {
            if (name.equals(CONTENT_TYPE) || ATTRIBUTE.matcher(name).matches()) {
                attributes.put(name, CloudEventText.decode(value));
            }
        });
        return ReceivedEvent.binary(
                name -> Optional.ofNullable(attributes.get(PREFIX + name)),
                () -> HttpMessageFactory.createReader(attributes, null),
                body);
    }

    /** @param structured whether the event that it answers was in structured mode */
    static Encoded write(CloudEvent event, boolean structured) {
        Map<String, String> headers = new LinkedHashMap<>();
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        BiConsumer<String, String> encoded = (name, value) ->
                headers.put(name, name.equalsIgnoreCase(CONTENT_TYPE) ? value : CloudEventText.encode(value));
        var writer = HttpMessageFactory.createWriter(encoded, body::writeBytes);
        if (structured) {
            writer.writeStructured(event, JSON);
        } else {
            writer.writeBinary(event);
        }
        return new Encoded(headers, body.toByteArray());
    }

    static Encoded write(List<CloudEvent> batch) {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        body.write('[');
        for (CloudEvent event : batch) {
            if (body.size() > 1) {
                body.write(',');
            }
            body.writeBytes(JSON.serialize(event));
        }
        body.write(']');
        return new Encoded(Map.of(CONTENT_TYPE, BATCH), body.toByteArray());
    }
}
