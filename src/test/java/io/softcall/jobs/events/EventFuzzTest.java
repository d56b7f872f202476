package io.softcall.jobs.events;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.DictionaryFile;
import com.code_intelligence.jazzer.junit.FuzzTest;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.softcall.FuzzTexts;
import io.softcall.Reasons;
import io.softcall.SoftcallException;
import io.softcall.StrictJson;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Any notification names files, or is refused with a reason. */
class EventFuzzTest {

    private static final JsonMapper JSON = new JsonMapper();

    /** @param json S3's notifications, and what SNS, SQS and EventBridge wrap around them */
    @DictionaryFile(resourcePath = FuzzTexts.JSON_WORDS)
    @FuzzTest
    void notification(byte[] json) {
        JsonNode data;
        try {
            data = Event.JSON.read(json);
        } catch (StrictJson.MalformedException e) {
            return;
        }
        Optional<List<Event>> events = Reasons.unlessRefused(() -> Event.of(data));
        events.orElse(List.of()).forEach(EventFuzzTest::check);
        if (events.isPresent() && events.get().stream().noneMatch(Event.Impossible.class::isInstance)) {
            ObjectNode wrapped = JSON.createObjectNode().put("Message", data.toString());
            List<Event> same = Event.of(wrapped);
            assertTrue(
                    same.equals(events.get()) || same.stream().anyMatch(EventFuzzTest::isTooDeep),
                    () -> same + " and " + events.get());
        }
    }

    private static boolean isTooDeep(Event event) {
        return event instanceof Event.Impossible(SoftcallException problem)
                && problem.getMessage().contains("wrapped more than");
    }

    private static void check(Event event) {
        switch (event) {
            case Event.Created created -> {
                assertFalse(created.bucket().isEmpty());
                assertEquals(created.keys().stream().distinct().toList(), created.keys());
                assertTrue(created.keys().size() == 1 || created.keys().size() == 2);
                assertTrue(created.etag()
                        .filter(tag -> tag.isEmpty() || tag.contains("\""))
                        .isEmpty());
            }
            case Event.Part part -> assertFalse(part.job() == null);
            case Event.Impossible(SoftcallException problem) -> Reasons.ofTheSender(problem);
        }
    }

    /** A key is found again, whether its sender encodes it or not. */
    @FuzzTest
    void key(byte[] utf8) {
        String key = new String(utf8, StandardCharsets.UTF_8);
        if (key.isEmpty()) {
            return;
        }
        assertTrue(keys(record(key)).contains(key));
        String form = URLEncoder.encode(key, StandardCharsets.UTF_8);
        assertEquals(key, keys(record(form)).getFirst());
        assertEquals(key, keys(record(form.replace("%2F", "/"))).getFirst());
        assertEquals(List.of(key), keys(eventBridge(key)));
    }

    private static List<String> keys(JsonNode data) {
        List<Event> events = Event.of(data);
        assertEquals(1, events.size());
        return ((Event.Created) events.getFirst()).keys();
    }

    private static JsonNode record(String key) {
        return JSON.valueToTree(Map.of(
                "eventName",
                "ObjectCreated:Put",
                "s3",
                Map.of("bucket", Map.of("name", "b"), "object", Map.of("key", key))));
    }

    private static JsonNode eventBridge(String key) {
        return JSON.valueToTree(Map.of(
                "detail-type",
                "Object Created",
                "detail",
                Map.of("bucket", Map.of("name", "b"), "object", Map.of("key", key))));
    }

    /** Attributes of events survive a header unchanged. */
    @FuzzTest
    void header(byte[] text) {
        String value = FuzzTexts.of(text).getFirst();
        String decoded = CloudEventText.decode(value);
        for (String attribute : List.of(value, decoded)) {
            String encoded = CloudEventText.encode(attribute);
            assertTrue(encoded.chars().allMatch(unit -> unit > ' ' && unit < 0x7f && unit != '"'), encoded);
            if (FuzzTexts.isUnicode(attribute)) {
                assertEquals(attribute, CloudEventText.decode(encoded));
            }
        }
    }
}
