package io.softcall.api;

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
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** A job calls tasks whose faults only a text reveals. Each row is an error, and the job continues. */
@QuarkusTest
@WithTestResource(S3Server.class)
class RefusedRowsTest {

    @Inject
    Tasks tasks;

    @Inject
    Classifier classifier;

    S3Server store;

    @Test
    void aTemplateThatLeavesNoTokenForAText() {
        assertRowsAreRefused(EditedArtifact.of("sentiment")
                .metadata(softcall -> softcall.put("template", "word ".repeat(3_900) + "{text}")));
    }

    @Test
    void numbersThatAreTooLargeToAnswerWith() {
        assertRowsAreRefused(EditedArtifact.of("sentiment").fill("label_head", 3e38f));
    }

    private void assertRowsAreRefused(EditedArtifact artifact) {
        store.put("broken/rows", artifact.bytes());
        StoredTask version =
                tasks.revalidate(new TaskName("broken/rows")).validated().join().stored();
        List<Classifier.Outcome> outcomes = classifier
                .start(version, List.of(List.of("x"), List.of("y")), OptionalInt.empty())
                .await();
        assertEquals(2, outcomes.size());
        for (Classifier.Outcome outcome : outcomes) {
            var refused = assertInstanceOf(Classifier.Outcome.Refused.class, outcome);
            assertEquals(Reason.ARTIFACT_REFUSED, refused.problem().reason());
        }
    }
}
