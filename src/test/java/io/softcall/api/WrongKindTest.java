package io.softcall.api;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.is;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.softcall.EditedArtifact;
import io.softcall.S3Server;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.Classifier;
import io.softcall.task.StoredTask;
import io.softcall.task.TaskName;
import io.softcall.task.catalog.Tasks;
import jakarta.inject.Inject;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A task that writes text does not classify: whoever asks is told where to send it. */
@QuarkusTest
@WithTestResource(S3Server.class)
class WrongKindTest {

    private static final String MESSAGE = "task \"%s\" writes text, and does not classify: send it to %s";

    @Inject
    Tasks tasks;

    @Inject
    Classifier classifier;

    S3Server store;

    @BeforeEach
    void store() {
        store.put("writes/notes", generation(false));
        store.put("writes/chats", generation(true));
    }

    private static byte[] generation(boolean chat) {
        return EditedArtifact.of("sentiment")
                .without("label_head")
                .without("label_bias")
                .metadata(softcall -> {
                    softcall.put("schema", 2).put("kind", "generation").put("prompt", "soft");
                    softcall.remove(List.of("labels", "temperature", "abstain_threshold"));
                    if (chat) {
                        softcall.put("chat", true).remove("template");
                    }
                })
                .bytes();
    }

    @ParameterizedTest
    @ValueSource(strings = {"/v1/classify", "/classify", "/classify-text", "/"})
    void aRequestForLabelsIsToldThePath(String path) {
        for (Map.Entry<String, String> task : Map.of(
                        "writes/notes", "/v1/completions", "writes/chats", "/v1/chat/completions")
                .entrySet()) {
            given().contentType("application/json")
                    .header("ce-specversion", "1.0")
                    .header("ce-id", "1")
                    .header("ce-source", "test")
                    .header("ce-type", "io.softcall.classify")
                    .body(Map.of("model", task.getKey(), "input", "x"))
                    .post(path)
                    .then()
                    .statusCode(400)
                    .body("error.type", is("invalid_request"))
                    .body("error.message", is(MESSAGE.formatted(task.getKey(), task.getValue())));
        }
    }

    @Test
    void eachRowOfAJobIsAnError() {
        StoredTask version = tasks.revalidate(new TaskName("writes/notes"))
                .validated()
                .join()
                .stored();
        List<Classifier.Outcome> outcomes = classifier
                .start(version, List.of(List.of("x"), List.of("y")), OptionalInt.empty())
                .await();
        assertEquals(2, outcomes.size());
        for (Classifier.Outcome outcome : outcomes) {
            var refused = assertInstanceOf(Classifier.Outcome.Refused.class, outcome);
            assertEquals(Reason.INVALID_REQUEST, refused.problem().reason());
        }
    }

    @Test
    void itsMetadataSayWhatItDoes() {
        given().get("/v1/models/writes/chats")
                .then()
                .statusCode(200)
                .body("task.kind", is("generation"))
                .body("task.chat", is(true));
    }
}
