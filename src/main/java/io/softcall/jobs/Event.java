package io.softcall.jobs;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.SoftcallException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Something that a job has to do with. */
sealed interface Event {

    /** @param etag empty where the sender does not say */
    record Created(String bucket, String key, Optional<String> etag) implements Event {}

    /** A part of a split job, as {@link Broker} hands it out. */
    record Part(String job, int part) implements Event {}

    JsonMapper JSON = new JsonMapper();

    /** Wrappers around a notification. */
    int MAX_DEPTH = 4;

    /**
     * What an event's data says. Understood are S3's notifications as they are and as SNS, SQS, EventBridge and Knative's
     * sources wrap them.
     *
     * @return empty when it is of no concern: deletions, {@code s3:TestEvent}
     * @throws SoftcallException {@code INVALID_REQUEST} when it is none of these
     */
    static List<Event> of(JsonNode data) {
        return of(data, 0);
    }

    private static List<Event> of(JsonNode data, int depth) {
        if (depth > MAX_DEPTH) {
            throw SoftcallException.invalid("the event is wrapped more than %d times", MAX_DEPTH);
        }
        if (data.isTextual()) {
            return of(parse(data.textValue()), depth + 1);
        }
        if (data.path("job").isTextual() && data.path("part").canConvertToInt()) {
            return List.of(
                    new Part(data.get("job").textValue(), data.get("part").intValue()));
        }
        if (data.path("Records").isArray()) {
            List<Event> events = new ArrayList<>();
            data.get("Records").forEach(entry -> events.addAll(of(entry, depth + 1)));
            return events;
        }
        if (data.has("s3")) {
            return record(data);
        }
        if (data.path("detail").has("object")) {
            return eventBridge(data);
        }
        for (String wrapped : List.of("/body", "/Sns/Message", "/Message")) {
            if (data.at(wrapped).isTextual()) {
                return of(data.at(wrapped), depth);
            }
        }
        if (data.path("Event").asText().equals("s3:TestEvent")) {
            return List.of();
        }
        throw SoftcallException.invalid(
                "the event's data is no notification of S3, nor one that SNS, SQS or EventBridge wraps");
    }

    private static JsonNode parse(String json) {
        try {
            return JSON.readTree(json);
        } catch (JsonProcessingException e) {
            throw SoftcallException.invalid("the event's data is a text, but no JSON: %s", e.getOriginalMessage());
        }
    }

    /** One record of an S3 notification, whose key is encoded as in a form. */
    private static List<Event> record(JsonNode entry) {
        String name = entry.path("eventName").asText();
        if (!name.contains("ObjectCreated:")) {
            return List.of();
        }
        JsonNode object = entry.at("/s3/object");
        String key;
        try {
            key = URLDecoder.decode(text(object, "key"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            throw SoftcallException.invalid("s3.object.key is \"%s\": %s", text(object, "key"), e.getMessage());
        }
        return List.of(new Created(text(entry.at("/s3/bucket"), "name"), key, etag(object.path("eTag"))));
    }

    /** EventBridge gives keys as they are. */
    private static List<Event> eventBridge(JsonNode event) {
        if (!event.path("detail-type").asText().equals("Object Created")) {
            return List.of();
        }
        JsonNode object = event.at("/detail/object");
        return List.of(
                new Created(text(event.at("/detail/bucket"), "name"), text(object, "key"), etag(object.path("etag"))));
    }

    private static Optional<String> etag(JsonNode value) {
        return Optional.of(value.asText().replace("\"", "")).filter(etag -> !etag.isEmpty());
    }

    private static String text(JsonNode node, String field) {
        JsonNode value = node.path(field);
        if (!value.isTextual() || value.textValue().isEmpty()) {
            throw SoftcallException.invalid("the notification has no %s of a bucket or object", field);
        }
        return value.textValue();
    }
}
