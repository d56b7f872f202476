package io.softcall.api.json;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.DictionaryFile;
import com.code_intelligence.jazzer.junit.FuzzTest;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.softcall.Allocation;
import io.softcall.FuzzTexts;
import io.softcall.Reasons;
import io.softcall.api.events.Events;
import io.softcall.api.events.ReceivedEvent;
import io.softcall.api.kafka.KafkaRequest;
import java.io.IOException;
import java.util.Base64;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Any request means the same over HTTP, in an event and in a record, or all of them refuse it. */
class ClassifyRequestFuzzTest {

    private static final JsonMapper JSON = new JsonMapper();
    private static final int BYTES_EACH = 300;
    private static final int BYTES_ALWAYS = 16 << 20;

    @DictionaryFile(resourcePath = FuzzTexts.JSON_WORDS)
    @FuzzTest
    void parse(byte[] body) throws IOException {
        Optional<ClassifyRequest> request = Allocation.within(
                BYTES_ALWAYS + (long) BYTES_EACH * body.length,
                () -> Reasons.unlessRefused(() -> ClassifyRequest.parse(body)));
        Optional<JsonNode> json = Reasons.unlessRefused(() -> RequestJson.read("the body", body));
        if (json.isPresent() && !json.get().has("id")) {
            assertEquals(
                    request,
                    Reasons.unlessRefused(() -> KafkaRequest.parse(new ConsumerRecord<>("requests", 0, 0, null, body)))
                            .map(KafkaRequest::request));
        }
        if (json.isPresent() && !json.get().isTextual()) {
            assertEquals(request, inEvent(event().set("data", json.get().deepCopy())));
            assertEquals(
                    request,
                    inEvent(event().put("data_base64", Base64.getEncoder().encodeToString(body))));
        }
        if (request.isPresent()) {
            check(request.get());
        }
    }

    private static Optional<ClassifyRequest> inEvent(ObjectNode message) {
        return Reasons.unlessRefused(
                () -> ClassifyRequest.of(ReceivedEvent.structured(message).data()));
    }

    private static ObjectNode event() {
        return JSON.createObjectNode()
                .put("specversion", "1.0")
                .put("id", "1")
                .put("source", "/fuzzer")
                .put("type", Events.CLASSIFY);
    }

    private static void check(ClassifyRequest request) throws IOException {
        request.classification().inputs().forEach(item -> assertTrue(item.size() == 1 || item.size() == 2));
        assertTrue(request.classification().truncateTokens().orElse(1) > 0);
        if (request.id().isPresent()) {
            // The answer contains it.
            byte[] answer = JSON.writeValueAsBytes(request.id().get());
            assertEquals(request.id().get(), JSON.readTree(answer).textValue());
        }
    }
}
