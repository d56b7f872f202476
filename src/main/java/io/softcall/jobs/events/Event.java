package io.softcall.jobs.events;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.SoftcallException;
import io.softcall.StrictJson;
import java.net.URLDecoder;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** An event about a job. */
public sealed interface Event {

    /**
     * A stored object.
     *
     * @param keys the object's key; two when it can be decoded in two ways, the more usual one first
     * @param etag empty when the sender omits it
     * @param bytes size of the object; empty when the sender omits it
     */
    record Created(String bucket, List<String> keys, Optional<String> etag, OptionalLong bytes) implements Event {

        public Created {
            keys = List.copyOf(keys);
        }
    }

    /** A part of a split job, sent by {@link Broker}. */
    record Part(String job, int part) implements Event {}

    /** A record that can never be processed. The other records of its notification still are. */
    record Impossible(SoftcallException problem) implements Event {}

    /** Maximum number of nested wrappers around a notification. */
    int MAX_DEPTH = 4;

    /** Maximum number of records in one notification, over all wrappers. */
    int MAX_RECORDS = 1_000;

    /** A character that form encoding never leaves as it is, so that a key with it is not encoded. */
    Pattern NEVER_ENCODED = Pattern.compile("[^!-~]");

    int MAX_JSON_DEPTH = 64;
    long MAX_JSON_TOKENS = 1_000_000;
    StrictJson JSON = new StrictJson(MAX_JSON_DEPTH, MAX_JSON_TOKENS);

    /**
     * Parses an event's data, and returns one event for each of its records. Accepts notifications of S3, plain or
     * wrapped by SNS, SQS, EventBridge and Knative's sources.
     *
     * @return empty for notifications that are ignored: deletions, {@code s3:TestEvent}
     * @throws SoftcallException {@code INVALID_REQUEST} when there are too many records
     */
    static List<Event> of(JsonNode data) {
        List<Event> events = new ArrayList<>();
        addTo(events, data, 0);
        if (events.size() > MAX_RECORDS) {
            throw SoftcallException.invalid("the notification has more than %d records", MAX_RECORDS);
        }
        return events;
    }

    private static void addTo(List<Event> events, JsonNode data, int depth) {
        if (events.size() > MAX_RECORDS) {
            return;
        }
        try {
            add(events, data, depth);
        } catch (SoftcallException e) {
            events.add(new Impossible(e));
        }
    }

    private static void add(List<Event> events, JsonNode data, int depth) {
        if (depth > MAX_DEPTH) {
            throw SoftcallException.invalid("the event is wrapped more than %d times", MAX_DEPTH);
        }
        if (data.isTextual()) {
            add(events, parse(data.textValue()), depth + 1);
        } else if (data.path("job").isTextual() && data.path("part").canConvertToInt()) {
            events.add(new Part(data.get("job").textValue(), data.get("part").intValue()));
        } else if (data.path("Records").isArray()) {
            data.get("Records").forEach(entry -> addTo(events, entry, depth + 1));
        } else if (data.has("s3")) {
            record(data).ifPresent(events::add);
        } else if (data.path("detail").has("object")) {
            eventBridge(data).ifPresent(events::add);
        } else if (!data.path("Event").asText().equals("s3:TestEvent")) {
            add(events, wrapped(data), depth + 1);
        }
    }

    private static JsonNode wrapped(JsonNode data) {
        return Stream.of("/body", "/Sns/Message", "/Message")
                .map(data::at)
                .filter(JsonNode::isTextual)
                .findFirst()
                .map(text -> parse(text.textValue()))
                .orElseThrow(() -> SoftcallException.invalid(
                        "the event's data is not a notification of S3, nor one that SNS, SQS or EventBridge wraps"));
    }

    private static JsonNode parse(String json) {
        try {
            return JSON.read(json);
        } catch (StrictJson.MalformedException e) {
            throw SoftcallException.invalid("the event's data is a text, which %s", e.getMessage());
        }
    }

    /** Parses one record of an S3 notification. */
    private static Optional<Event> record(JsonNode entry) {
        if (!entry.path("eventName").asText().contains("ObjectCreated:")) {
            return Optional.empty();
        }
        JsonNode object = entry.at("/s3/object");
        return Optional.of(created(
                text(entry.at("/s3/bucket"), "name"), readings(text(object, "key")), object.path("eTag"), object));
    }

    /** Parses a notification of EventBridge, which does not encode keys. */
    private static Optional<Event> eventBridge(JsonNode event) {
        if (!event.path("detail-type").asText().equals("Object Created")) {
            return Optional.empty();
        }
        JsonNode object = event.at("/detail/object");
        return Optional.of(created(
                text(event.at("/detail/bucket"), "name"), List.of(text(object, "key")), object.path("etag"), object));
    }

    private static Created created(String bucket, List<String> keys, JsonNode etag, JsonNode object) {
        JsonNode size = object.path("size");
        return new Created(
                bucket,
                keys,
                Optional.ofNullable(etag.textValue())
                        .map(quoted -> quoted.replace("\"", ""))
                        .filter(known -> !known.isEmpty()),
                size.canConvertToLong() && size.isIntegralNumber()
                        ? OptionalLong.of(size.longValue())
                        : OptionalLong.empty());
    }

    /**
     * Returns the possible keys: AWS and MinIO form-encode a key in notifications, versitygw and Ceph do not.
     *
     * @return one key when only one is possible; otherwise the decoded key first
     */
    private static List<String> readings(String key) {
        if (NEVER_ENCODED.matcher(key).find()) {
            return List.of(key);
        }
        try {
            byte[] bytes = URLDecoder.decode(key, StandardCharsets.ISO_8859_1).getBytes(StandardCharsets.ISO_8859_1);
            String decoded = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
            return decoded.equals(key) ? List.of(key) : List.of(decoded, key);
        } catch (IllegalArgumentException | CharacterCodingException e) {
            return List.of(key);
        }
    }

    private static String text(JsonNode node, String field) {
        JsonNode value = node.path(field);
        if (!value.isTextual() || value.textValue().isEmpty()) {
            throw SoftcallException.invalid("the notification has no %s of a bucket or object", field);
        }
        return value.textValue();
    }
}
