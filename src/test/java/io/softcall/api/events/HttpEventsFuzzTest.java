package io.softcall.api.events;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.DictionaryFile;
import com.code_intelligence.jazzer.junit.FuzzTest;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.cloudevents.CloudEvent;
import io.softcall.FuzzTexts;
import io.softcall.Reasons;
import io.softcall.api.json.ClassifyRequest;
import io.softcall.api.kafka.FuzzedMessage;
import jakarta.ws.rs.core.MultivaluedHashMap;
import jakarta.ws.rs.core.MultivaluedMap;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Any posted event can be answered in the mode in which it came, or is refused. In a batch this holds for each event. */
class HttpEventsFuzzTest {

    private static final JsonMapper JSON = new JsonMapper();
    private static final Map<String, String> ANSWER = Map.of("answer", "yes");

    @DictionaryFile(resourcePath = FuzzTexts.JSON_WORDS)
    @FuzzTest
    void read(byte[] message) {
        FuzzedMessage sent = FuzzedMessage.of(message);
        MultivaluedMap<String, String> headers = new MultivaluedHashMap<>();
        sent.headers().forEach(header -> headers.add(header.name(), header.value() == null ? "" : header.value()));
        switch (Reasons.unlessRefused(() -> HttpEvents.read(headers, sent.body()))
                .orElse(null)) {
            case HttpEvents.Message.One(ReceivedEvent event, boolean structured) -> check(event);
            case HttpEvents.Message.Batch(List<JsonNode> events) -> batch(events);
            case null -> {}
        }
    }

    private static void batch(List<JsonNode> events) {
        List<CloudEvent> replies = new ArrayList<>();
        for (JsonNode event : events) {
            Reasons.unlessRefused(() -> ReceivedEvent.structured(event)).ifPresent(known -> {
                check(known);
                replies.add(reply(known));
            });
        }
        HttpEvents.Encoded batch = HttpEvents.write(replies);
        MultivaluedMap<String, String> headers = new MultivaluedHashMap<>(batch.headers());
        HttpEvents.Message.Batch read = (HttpEvents.Message.Batch) HttpEvents.read(headers, batch.body());
        assertEquals(replies.size(), read.events().size());
    }

    private static void check(ReceivedEvent event) {
        Reasons.unlessRefused(() -> ClassifyRequest.of(event.data()));
        for (boolean structured : List.of(false, true)) {
            CloudEvent reply = reply(event);
            HttpEvents.Encoded written = HttpEvents.write(reply, structured);
            for (String value : written.headers().values()) {
                assertTrue(value.chars().allMatch(unit -> unit >= ' ' && unit < 0x7f), value);
            }
            HttpEvents.Message.One read = (HttpEvents.Message.One)
                    HttpEvents.read(new MultivaluedHashMap<>(written.headers()), written.body());
            assertEquals(structured, read.structured());
            assertEquals(JSON.valueToTree(ANSWER), read.event().data());
            CloudEvent attributes = read.event().attributes();
            assertEquals(reply.getId(), attributes.getId());
            assertEquals(reply.getSubject(), attributes.getSubject());
            assertEquals(reply.getExtensionNames(), attributes.getExtensionNames());
            for (String name : reply.getExtensionNames()) {
                assertEquals(
                        reply.getExtension(name).toString(),
                        attributes.getExtension(name).toString());
            }
        }
    }

    private static CloudEvent reply(ReceivedEvent event) {
        return event.reply(event.key(), Events.CLASSIFIED, Optional.empty(), ANSWER);
    }
}
