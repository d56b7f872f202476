package io.softcall.inference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.task.Kind;
import io.softcall.task.LabelHead;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import io.softcall.task.Template;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** How logits become probabilities and labels. The label head of these tasks passes the hidden row on. */
class ScoringTest {

    private static final float LARGEST = Float.MAX_VALUE;

    @Test
    void oneLabelHasTheHighestLogit() throws Exception {
        var row = oneLabel(OptionalDouble.empty(), 0, 2, 2);
        assertEquals(OptionalInt.of(1), row.label());
        // torch.softmax(torch.tensor([0., 2, 2], dtype=float64), 0)
        assertArrayEquals(new double[] {0.06337894, 0.46831053, 0.46831053}, row.probabilities(), 1e-8);
        assertEquals(0.46831053, row.score(), 1e-8);
    }

    @Test
    void oneLabelBelowItsThresholdIsAnAbstention() throws Exception {
        var row = oneLabel(OptionalDouble.of(.5), 0, 2, 2);
        assertTrue(row.abstained());
        assertEquals(OptionalInt.empty(), row.label());
        assertEquals(0.46831053, row.score(), 1e-8);
    }

    /** torch.sigmoid(torch.tensor([-1., 3, 0, 1], dtype=float64) / 1.5) */
    @Test
    void everyLabelThatReachesItsThresholdIsChosenTheMostProbableFirst() throws Exception {
        double[] sigmoids = {0.33924363, 0.88079708, 0.5, 0.66075637};
        var row = severalLabels(new double[] {.3, .9, .5, .1}, 1.5, -1, 3, 0, 1);
        assertArrayEquals(sigmoids, row.probabilities(), 1e-8);
        // The second one is the most probable, but its threshold is higher. The third one equals its threshold.
        assertEquals(List.of(3, 2, 0), row.labels());
        assertEquals(OptionalInt.of(3), row.label());
        assertEquals(0.66075637, row.score(), 1e-8);
        assertFalse(row.abstained());
    }

    @Test
    void noLabelIsAnAnswer() throws Exception {
        var row = severalLabels(new double[] {1, 1, 1}, 1, -1, 3, 0);
        assertEquals(List.of(), row.labels());
        assertEquals(OptionalInt.empty(), row.label());
        assertFalse(row.abstained());
        assertEquals(0.95257413, row.score(), 1e-8);
    }

    @Test
    void amongEquallyProbableLabelsTheFirstComesFirst() throws Exception {
        assertEquals(
                List.of(1, 2, 0),
                severalLabels(new double[] {.1, .1, .1}, 1, 0, 1, 1).labels());
    }

    @Test
    void logitsOfAnySizeGiveProbabilities() throws Exception {
        for (double temperature : new double[] {1e-300, 1, 1e300}) {
            var row = severalLabels(new double[] {.5, .5, .5}, temperature, -LARGEST, 0, LARGEST);
            double[] wanted = temperature > 1e200 ? new double[] {.5, .5, .5} : new double[] {0, .5, 1};
            assertArrayEquals(wanted, row.probabilities(), 1e-8);
        }
    }

    @Test
    void logitsThatAreNotFiniteRefuseTheTask() {
        List<Executable> scored = List.of(
                () -> oneLabel(OptionalDouble.empty(), 0, Float.NaN),
                () -> severalLabels(new double[] {1, 1}, 1, 0, Float.NaN));
        for (Executable score : scored) {
            SoftcallException e = assertThrows(SoftcallException.class, score);
            assertEquals(Reason.ARTIFACT_REFUSED, e.reason());
            assertTrue(e.getMessage().contains("its label 0 has the logit NaN"), e::getMessage);
        }
    }

    @Test
    void aTaskHasAThresholdForEachLabel() {
        assertThrows(IllegalArgumentException.class, () -> severalLabels(new double[] {.5}, 1, 0, 0));
    }

    private static Classification.Prediction oneLabel(OptionalDouble threshold, float... logits) throws Exception {
        return score(new Kind.OneLabel(new Template("{text}"), head(logits.length), 1, threshold), logits);
    }

    private static Classification.MultiLabel severalLabels(double[] thresholds, double temperature, float... logits)
            throws Exception {
        return (Classification.MultiLabel) score(
                new Kind.MultiLabel(new Template("{text}"), head(logits.length), temperature, thresholds), logits);
    }

    private static LabelHead head(int labels) {
        float[] identity = new float[labels * labels];
        IntStream.range(0, labels).forEach(i -> identity[i * labels + i] = 1);
        return new LabelHead(
                IntStream.range(0, labels).mapToObj(Integer::toString).toList(), identity, new float[labels]);
    }

    private static Classification.Prediction score(Kind kind, float... logits) {
        Task task = new Task(new TaskName("task"), "1", Optional.empty(), 1, kind, Optional.empty(), "{}", 1);
        return Scoring.score(task, logits, 1);
    }
}
