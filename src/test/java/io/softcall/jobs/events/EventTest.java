package io.softcall.jobs.events;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.SoftcallException;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The contents of notifications, and the possible meanings of their keys. */
class EventTest {

    private static final JsonMapper JSON = new JsonMapper();

    private static JsonNode record(String key) {
        return JSON.valueToTree(Map.of(
                "eventName",
                "s3:ObjectCreated:Put",
                "s3",
                Map.of("bucket", Map.of("name", "b"), "object", Map.of("key", key, "size", 7, "eTag", "\"abc\""))));
    }

    /** The columns: a key as notifications have it, the key that AWS and MinIO mean, and another possible meaning. */
    @ParameterizedTest
    @CsvSource({
        "in/a.csv, in/a.csv,",
        "in/a+b.csv, in/a b.csv, in/a+b.csv",
        "in%2Fa%2Bb.csv, in/a+b.csv, in%2Fa%2Bb.csv",
        "in/50%25.csv, in/50%.csv, in/50%25.csv",
        "in/50%.csv, in/50%.csv,",
        "in/50%zz.csv, in/50%zz.csv,",
        "in/%E6%97%A5.csv, in/日.csv, in/%E6%97%A5.csv",
        "in/%FF.csv, in/%FF.csv,",
        "in/日+%20.csv, in/日+%20.csv,",
        "'in/a b+c.csv', 'in/a b+c.csv',"
    })
    void keysThatMayBeEncoded(String key, String first, String second) {
        Event.Created created =
                assertInstanceOf(Event.Created.class, Event.of(record(key)).getFirst());
        assertEquals(second == null ? List.of(first) : List.of(first, second), created.keys());
        assertEquals(Optional.of("abc"), created.etag());
        assertEquals(OptionalLong.of(7), created.bytes());
    }

    @Test
    void aSenderMayKnowNoVersion() throws IOException {
        JsonNode event = JSON.readTree("""
                {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": "k", "eTag": null, "size": "x"}}}""");
        assertEquals(
                new Event.Created("b", List.of("k"), Optional.empty(), OptionalLong.empty()),
                Event.of(event).getFirst());
    }

    @Test
    void oneBadRecordHidesNoOther() {
        var records = JSON.createArrayNode()
                .add(record("a.csv"))
                .add(7)
                .add("CUSTOMERTEXT")
                .add(record("z.csv"));
        List<Event> events = Event.of(JSON.createObjectNode().set("Records", records));
        assertEquals(4, events.size());
        assertInstanceOf(Event.Created.class, events.get(0));
        assertInstanceOf(Event.Impossible.class, events.get(1));
        String problem = assertInstanceOf(Event.Impossible.class, events.get(2))
                .problem()
                .getMessage();
        assertTrue(
                problem.startsWith("the event's data is a text, which is not valid JSON")
                        && !problem.contains("CUSTOMER"),
                problem);
        assertInstanceOf(Event.Created.class, events.get(3));
    }

    @Test
    void recordsAreBounded() {
        var records = JSON.createArrayNode();
        for (int i = 0; i < 1_000_000; i++) {
            records.add(i);
        }
        assertTrue(assertThrows(
                        SoftcallException.class,
                        () -> Event.of(JSON.createObjectNode().set("Records", records)))
                .getMessage()
                .contains("more than 1000 records"));
    }
}
