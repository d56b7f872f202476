package io.softcall.api;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.is;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.response.ValidatableResponse;
import io.softcall.EditedArtifact;
import io.softcall.Tiny;
import io.softcall.TinyDevice;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** KV prompts on a server whose base has no full-precision trunk, as on devices, and the pages of the variant for GPUs. */
@QuarkusTest
@WithTestResource(TinyDevice.class)
class KvTasksTest {

    /** Half precision has 11 bits. */
    private static final double HALF = 2e-2;

    TinyDevice device;

    @Test
    void answersArePeftsAndSoftPromptsAreRefusedWithAdvice() {
        for (String task : List.of("kv", "acme/kv-long", "topics")) {
            for (Tiny.Row row : Tiny.golden(task)) {
                List<Float> logits =
                        classify(task, row.input()).statusCode(200).extract().path("data[0].logits");
                for (int i = 0; i < logits.size(); i++) {
                    assertEquals(row.logits()[i], logits.get(i), HALF, task);
                }
            }
        }
        classify("sentiment", "A joy.")
                .statusCode(502)
                .body("error.message", containsString("`softcall push --prefix fp16`"));
    }

    @Test
    void aTaskSaysWhatItsPromptIs() {
        given().get("/v1/models/topics")
                .then()
                .statusCode(200)
                .body("prompt_tokens", is(8))
                .body("artifact_bytes", is(Tiny.artifact("topics").length))
                .body("task.schema", is(2))
                .body("task.prompt", is("kv"))
                .body("task.kind", is("multi_label"))
                .body("task.thresholds.size()", is(4));
    }

    /** Freshness does not depend on the type of a prompt. */
    @Test
    void anotherVersionAnswersTheNextCall() {
        device.put("fresh", Tiny.artifact("kv"));
        String first = classify("fresh", "A joy.")
                .statusCode(200)
                .body("data[0].num_classes", is(2))
                .extract()
                .path("version");
        classify("fresh", "A joy.").statusCode(200).body("version", is(first));
        device.put("fresh", Tiny.artifact("acme/kv-long"));
        classify("fresh", "A joy.").statusCode(200).body("data[0].num_classes", is(3));
        device.put("fresh", Tiny.broken("kv-heads"));
        classify("fresh", "A joy.").statusCode(502).body("error.message", containsString("it has 4 kv_heads"));
        device.put("fresh", Tiny.artifact("kv"));
        classify("fresh", "A joy.").statusCode(200).body("version", is(first));
    }

    /** The text with its template has the positions that the prompt leaves, and no more. */
    @Test
    void aLongPromptLeavesItsPositionsToTheText() {
        int tokens = Tiny.golden("kv").getFirst().ids().length;
        device.put("long", longPrompt(1_024 - tokens));
        Object text = Tiny.golden("kv").getFirst().input();
        classify("long", text).statusCode(200).body("usage.prompt_tokens", is(tokens));
        classify("long", text + " " + text).statusCode(422).body("error.type", is("text_too_long"));
        device.put("longer", longPrompt(1_023));
        classify("longer", text).statusCode(502).body("error.message", containsString("its template alone has"));
        device.put("longest", longPrompt(1_024));
        classify("longest", text)
                .statusCode(502)
                .body("error.message", containsString("leave no position for a text: the base tiny-llama has 1024"));
    }

    private static byte[] longPrompt(int tokens) {
        return EditedArtifact.of("kv")
                .tensor("prompt_embeddings", "F16", Float.floatToFloat16(.25f), tokens, 128)
                .bytes();
    }

    private static ValidatableResponse classify(String task, Object input) {
        return given().contentType("application/json")
                .body(Map.of("model", task, "input", List.of(input), "logits", true))
                .post("/v1/classify")
                .then();
    }
}
