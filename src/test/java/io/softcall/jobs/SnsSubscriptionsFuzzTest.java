package io.softcall.jobs;

import static org.junit.jupiter.api.Assertions.assertFalse;

import com.code_intelligence.jazzer.junit.DictionaryFile;
import com.code_intelligence.jazzer.junit.FuzzTest;
import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.ConfigMappings;
import io.softcall.FuzzTexts;
import io.softcall.Reasons;
import io.softcall.StrictJson;
import io.softcall.jobs.events.Event;
import io.softcall.jobs.run.JobsConfig;
import java.util.Map;

/** For any message of SNS, the server calls only addresses that the operator has named. */
class SnsSubscriptionsFuzzTest {

    private static final SnsSubscriptions NOBODY_IS_NAMED =
            new SnsSubscriptions(ConfigMappings.of(JobsConfig.class, Map.of()));

    @DictionaryFile(resourcePath = FuzzTexts.JSON_WORDS)
    @FuzzTest
    void message(byte[] json) {
        JsonNode message;
        try {
            message = Event.JSON.read(json);
        } catch (StrictJson.MalformedException e) {
            return;
        }
        boolean handled =
                Reasons.unlessRefused(() -> NOBODY_IS_NAMED.handle(message)).orElse(false);
        assertFalse(handled && message.path("Type").asText().equals("SubscriptionConfirmation"));
    }
}
