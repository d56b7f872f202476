package io.softcall.inference.sampling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.inference.sampling.Sampled.Scored;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Which tokens are chosen, and how often. */
class SamplerTest {

    private static final int DRAWS = 20_000;
    private static final long[] NO_PROMPT = {};

    /** A row of logits, and transformers' distribution of the next token; tests/make_sampling_cases.py writes it. */
    private record Case(
            double temperature,
            @JsonProperty("top_p") double topP,
            @JsonProperty("top_k") int topK,
            @JsonProperty("min_p") double minP,
            @JsonProperty("repetition_penalty") double repetitionPenalty,
            @JsonProperty("presence_penalty") double presencePenalty,
            @JsonProperty("frequency_penalty") double frequencyPenalty,
            @JsonProperty("logit_bias") Map<Integer, Float> logitBias,
            float[] logits,
            long[] prompt,
            int[] answer,
            Map<Integer, Double> probabilities,
            double[] logprobs) {

        private Sampling sampling(long seed) {
            return new Sampling(
                    temperature,
                    topP,
                    topK,
                    minP,
                    repetitionPenalty,
                    presencePenalty,
                    frequencyPenalty,
                    logitBias,
                    seed,
                    OptionalInt.empty());
        }

        /** Returns a sampler whose answer has the case's tokens already. */
        private Sampler sampler(long seed, Workspace workspace) {
            Sampler sampler = new Sampler(sampling(seed), prompt, logits.length);
            for (int id : answer) {
                sampler.next(logits, 0, new Permitted.Only(id), workspace);
            }
            return sampler;
        }

        private double[] expected() {
            double[] expected = new double[logits.length];
            probabilities.forEach((id, probability) -> expected[id] = probability);
            return expected;
        }
    }

    private static List<Case> cases() throws Exception {
        return new JsonMapper()
                .readValue(Path.of("src/test/resources/sampling.json").toFile(), new TypeReference<>() {});
    }

    @Test
    void theDistributionIsThatOfTransformers() throws Exception {
        assertEquals(18, cases().size());
        for (Case one : cases()) {
            Workspace workspace = new Workspace(one.logits().length);
            one.sampler(1, workspace).next(one.logits(), 0, Permitted.ALL, workspace);
            double sum = Weights.sum(workspace.values, 0, workspace.values.length);
            assertArrayEquals(
                    one.expected(),
                    IntStream.range(0, workspace.values.length)
                            .mapToDouble(id -> workspace.values[id] / sum)
                            .toArray(),
                    1e-6,
                    one.sampling(1)::toString);
        }
    }

    /** Pearson's chi-square of 20,000 draws, with a chance of one in 10,000 to fail with another seed. */
    @Test
    void drawsFollowTheDistribution() throws Exception {
        for (Case one : cases()) {
            if (!one.sampling(0).equals(unpenalized(one, 0))) {
                continue;
            }
            double[] expected = one.expected();
            Workspace workspace = new Workspace(expected.length);
            int[] seen = new int[expected.length];
            for (int seed = 0; seed < DRAWS; seed++) {
                // The first step of many seeds; the answer's tokens would count in every one.
                seen[
                        new Sampler(unpenalized(one, seed), NO_PROMPT, expected.length)
                                .next(one.logits(), 0, Permitted.ALL, workspace)
                                .id()]++;
            }
            assertPlausible(expected, seen, one.sampling(0).toString());
        }
    }

    private static Sampling unpenalized(Case one, long seed) {
        Sampling all = one.sampling(seed);
        return new Sampling(
                all.temperature(),
                all.topP(),
                all.topK(),
                all.minP(),
                1,
                0,
                0,
                all.logitBias(),
                seed,
                all.topLogprobs());
    }

    /** The steps of one seed are independent draws, too. */
    @Test
    void stepsAreIndependent() {
        float[] logits = {0, 1, 2, 0.5f};
        double[] probabilities = softmax(logits);
        int[] seen = new int[4];
        int[] pairs = new int[16];
        Sampler sampler = new Sampler(drawing(7), NO_PROMPT, 4);
        Workspace workspace = new Workspace(4);
        int before = 0;
        for (int step = 0; step < DRAWS; step++) {
            int id = sampler.next(logits, 0, Permitted.ALL, workspace).id();
            seen[id]++;
            pairs[4 * before + id]++;
            before = id;
        }
        assertPlausible(probabilities, seen, "steps");
        assertPlausible(
                IntStream.range(0, 16)
                        .mapToDouble(pair -> probabilities[pair / 4] * probabilities[pair % 4])
                        .toArray(),
                pairs,
                "pairs of steps");
    }

    private static void assertPlausible(double[] probabilities, int[] seen, String what) {
        double chiSquare = 0;
        int cells = 0;
        double restExpected = 0;
        int restSeen = 0;
        int draws = Arrays.stream(seen).sum();
        for (int i = 0; i < seen.length; i++) {
            double expected = draws * probabilities[i];
            if (expected >= 5) {
                chiSquare += (seen[i] - expected) * (seen[i] - expected) / expected;
                cells++;
            } else {
                restExpected += expected;
                restSeen += seen[i];
                assertTrue(probabilities[i] > 0 || seen[i] == 0, what);
            }
        }
        if (restExpected >= 5) {
            chiSquare += (restSeen - restExpected) * (restSeen - restExpected) / restExpected;
            cells++;
        }
        // Wilson and Hilferty 1931: the cube root of chi-square over its degrees of freedom is nearly normal.
        int degrees = Math.max(1, cells - 1);
        double spread = 2.0 / (9 * degrees);
        double normal = (Math.cbrt(chiSquare / degrees) - 1 + spread) / Math.sqrt(spread);
        assertTrue(normal < 3.72, what + ": chi-square " + chiSquare + " of " + degrees);
    }

    @Test
    void aSeedRepeatsAndAnotherDiffers() {
        float[] logits = new float[50];
        assertArrayEquals(answer(logits, 5), answer(logits, 5));
        assertNotEquals(Arrays.toString(answer(logits, 5)), Arrays.toString(answer(logits, 6)));
    }

    private static int[] answer(float[] logits, long seed) {
        Sampler sampler = new Sampler(drawing(seed), NO_PROMPT, logits.length);
        Workspace workspace = new Workspace(logits.length);
        return IntStream.range(0, 40)
                .map(step -> sampler.next(logits, 0, Permitted.ALL, workspace).id())
                .toArray();
    }

    /** What was drawn before changes nothing: the number of the step alone counts. */
    @Test
    void aStepDoesNotDependOnTheStepsBefore() {
        float[] other = new float[50];
        other[20] = 2;
        Workspace workspace = new Workspace(50);
        Sampler one = new Sampler(drawing(9), NO_PROMPT, 50);
        Sampler two = new Sampler(drawing(9), NO_PROMPT, 50);
        one.next(new float[50], 0, Permitted.ALL, workspace);
        two.next(other, 0, new Permitted.Only(3), workspace);
        assertEquals(
                one.next(other, 0, Permitted.ALL, workspace).id(),
                two.next(other, 0, Permitted.ALL, workspace).id());
    }

    @Test
    void greedyTakesTheSmallestIdOfTheMostProbable() {
        float[] logits = {9, -1, 3, 7, 7, 3};
        assertEquals(2, greedy(logits, 1, 4, Permitted.ALL, Map.of()));
        assertEquals(3, greedy(logits, 1, 4, new Permitted.Except(2), Map.of()));
        assertEquals(1, greedy(logits, 1, 4, new Permitted.Only(0, 1), Map.of()));
        assertEquals(0, greedy(logits, 1, 4, Permitted.ALL, Map.of(0, 8f)));
        assertEquals(0, greedy(logits, 1, 4, Permitted.ALL, Map.of(0, 99f)));
        assertArrayEquals(new float[] {9, -1, 3, 7, 7, 3}, logits);
    }

    private static int greedy(
            float[] logits, int offset, int vocabulary, Permitted permitted, Map<Integer, Float> bias) {
        Sampling sampling = new Sampling(0, 1, 0, 0, 1, 0, 0, bias, 0, OptionalInt.empty());
        return new Sampler(sampling, NO_PROMPT, vocabulary)
                .next(logits, offset, permitted, new Workspace(vocabulary))
                .id();
    }

    /** Computed by hand. */
    @Test
    void penaltiesGrowWithTheAnswer() {
        Sampling sampling = new Sampling(0, 1, 0, 0, 2, 0.5, 0.75, Map.of(), 0, OptionalInt.empty());
        Sampler sampler = new Sampler(sampling, new long[] {2, 2, 2}, 4);
        float[] logits = {2, 1.5f, 4, -1};
        float[][] penalized = {
            {2, 1.5f, 4 / 2, -1}, // token 2 is in the prompt; token 0 has a smaller id
            {2 / 2 - 1.25f, 1.5f, 4 / 2, -1},
            {2 / 2 - 1.25f, 1.5f, 4 / 2 - 1.25f, -1},
            {2 / 2 - 1.25f, 1.5f / 2 - 1.25f, 4 / 2 - 1.25f, -1},
            {2 / 2 - 1.25f, 1.5f / 2 - 1.25f, 4 / 2 - 2, -1}
        };
        int[] chosen = {0, 2, 1, 2, 2};
        Workspace workspace = new Workspace(4);
        for (int step = 0; step < chosen.length; step++) {
            assertEquals(
                    chosen[step],
                    sampler.next(logits, 0, Permitted.ALL, workspace).id());
            assertArrayEquals(penalized[step], workspace.values);
        }
        assertEquals(5, sampler.step());
    }

    @Test
    void logprobsAreThoseOfTheUnchangedDistribution() throws Exception {
        for (Case one : cases()) {
            Sampling plain = one.sampling(3);
            Sampling reporting = new Sampling(
                    plain.temperature(),
                    plain.topP(),
                    plain.topK(),
                    plain.minP(),
                    plain.repetitionPenalty(),
                    plain.presencePenalty(),
                    plain.frequencyPenalty(),
                    plain.logitBias(),
                    3,
                    OptionalInt.of(5));
            Workspace workspace = new Workspace(one.logits().length);
            for (int id = 0; id < one.logprobs().length; id++) {
                Sampled sampled = new Sampler(reporting, one.prompt(), one.logits().length)
                        .next(one.logits(), 0, new Permitted.Only(id), workspace);
                assertEquals(id, sampled.id());
                assertEquals(one.logprobs()[id], sampled.logprob(), 2e-6);
                assertTop(one.logits(), sampled.top());
            }
        }
    }

    private static void assertTop(float[] logits, List<Scored> top) {
        List<Integer> best = IntStream.range(0, logits.length)
                .boxed()
                .sorted((a, b) -> Float.compare(logits[b], logits[a]))
                .limit(5)
                .toList();
        assertEquals(best, top.stream().map(Scored::id).toList());
        double[] probabilities = softmax(logits);
        top.forEach(scored -> assertEquals(Math.log(probabilities[scored.id()]), scored.logprob(), 2e-6));
    }

    @Test
    void topLogprobsAmongEqualsHaveTheSmallestIds() {
        Sampling sampling = new Sampling(0, 1, 0, 0, 1, 0, 0, Map.of(), 0, OptionalInt.of(3));
        Sampled sampled = new Sampler(sampling, NO_PROMPT, 5)
                .next(new float[] {1, 2, 1, 2, 1}, 0, Permitted.ALL, new Workspace(5));
        assertEquals(List.of(1, 3, 0), sampled.top().stream().map(Scored::id).toList());
        Sampling none = new Sampling(0, 1, 0, 0, 1, 0, 0, Map.of(), 0, OptionalInt.of(0));
        Sampled alone = new Sampler(none, NO_PROMPT, 2).next(new float[] {0, 0}, 0, Permitted.ALL, new Workspace(2));
        assertEquals(List.of(), alone.top());
        assertEquals(Math.log(0.5), alone.logprob(), 1e-7);
        Sampled unwanted =
                new Sampler(Sampling.GREEDY, NO_PROMPT, 2).next(new float[] {0, 0}, 0, Permitted.ALL, new Workspace(2));
        assertTrue(Double.isNaN(unwanted.logprob()));
    }

    @Test
    void logitsThatAreNotFiniteAreRefused() {
        for (float wrong : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            IllegalArgumentException e =
                    assertThrows(IllegalArgumentException.class, () -> new Sampler(Sampling.GREEDY, NO_PROMPT, 3)
                            .next(new float[] {Float.NaN, 0, 1, wrong}, 1, Permitted.ALL, new Workspace(3)));
            assertEquals("token 2 has the logit " + wrong, e.getMessage());
        }
    }

    @Test
    void tokensThatAreNotTheBasesAreRefused() {
        Sampling biased = new Sampling(0, 1, 0, 0, 1, 0, 0, Map.of(3, 1f), 0, OptionalInt.empty());
        assertThrows(IllegalArgumentException.class, () -> new Sampler(biased, NO_PROMPT, 3));
        Sampling penalized = new Sampling(0, 1, 0, 0, 2, 0, 0, Map.of(), 0, OptionalInt.empty());
        assertThrows(IllegalArgumentException.class, () -> new Sampler(penalized, new long[] {-1}, 3));
    }

    @Test
    void someTokenMustBePermitted() {
        assertThrows(IllegalArgumentException.class, Permitted.Only::new);
        assertThrows(IllegalArgumentException.class, () -> new Sampler(drawing(1), NO_PROMPT, 2)
                .next(new float[2], 0, new Permitted.Except(0, 1), new Workspace(2)));
    }

    @Test
    void extremeSettingsAndLogitsStayWithinTheVocabulary() {
        float[] logits = {Float.MAX_VALUE, -Float.MAX_VALUE, 0, 100};
        Random random = new Random(4);
        for (double temperature : new double[] {1e-300, 1e-4, 1, 100, 1e300}) {
            for (double penalty : new double[] {1e-300, 1, 1e300}) {
                Sampling sampling = new Sampling(
                        temperature,
                        0.9,
                        3,
                        0.01,
                        penalty,
                        -2,
                        2,
                        Map.of(1, 100f),
                        random.nextLong(),
                        OptionalInt.of(2));
                Sampler sampler = new Sampler(sampling, new long[] {0, 1}, 4);
                Workspace workspace = new Workspace(4);
                for (int step = 0; step < 20; step++) {
                    int id = sampler.next(logits, 0, Permitted.ALL, workspace).id();
                    assertTrue(id >= 0 && id < 4);
                }
            }
        }
    }

    private static Sampling drawing(long seed) {
        return new Sampling(1, 1, 0, 0, 1, 0, 0, Map.of(), seed, OptionalInt.empty());
    }

    private static double[] softmax(float[] logits) {
        double sum = IntStream.range(0, logits.length)
                .mapToDouble(id -> Math.exp(logits[id]))
                .sum();
        return IntStream.range(0, logits.length)
                .mapToDouble(id -> Math.exp(logits[id]) / sum)
                .toArray();
    }
}
