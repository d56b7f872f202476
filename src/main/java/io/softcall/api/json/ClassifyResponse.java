package io.softcall.api.json;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.softcall.inference.Classification;
import io.softcall.task.Task;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * An answer in vLLM's format, with the version of the task that gave it.
 *
 * @param created seconds since 1970
 * @param model the task
 * @param version the store's identifier of the prompt that answered
 * @param staleMs milliseconds since the version was last validated; only present when the store could not be reached
 */
@RegisterForReflection
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ClassifyResponse(
        String id,
        String object,
        long created,
        String model,
        String version,
        @JsonProperty("stale_ms") Long staleMs,
        List<Item> data,
        Usage usage) {

    /**
     * The answer for one text.
     *
     * @param label null when the task abstains, or when none of several labels is probable enough
     * @param labels the labels of a task of any number of them, the most probable first; null for other tasks
     * @param probs by label index: probabilities, or logits when the request turns the activation off
     * @param score the label's probability; without a label the highest probability
     * @param scores probabilities by label name, on request of those that the request selects
     * @param logits by label index, before the temperature, on request
     */
    @RegisterForReflection
    record Item(
            int index,
            @JsonInclude(JsonInclude.Include.ALWAYS) String label,
            @JsonInclude(JsonInclude.Include.NON_NULL) List<String> labels,
            double score,
            boolean abstained,
            double[] probs,
            @JsonProperty("num_classes") int numClasses,
            @JsonInclude(JsonInclude.Include.NON_NULL) Map<String, Double> scores,
            @JsonInclude(JsonInclude.Include.NON_NULL) float[] logits) {}

    /** Tokens of all texts with their template. Prompt vectors are not counted, because they cost next to nothing. */
    @RegisterForReflection
    record Usage(
            @JsonProperty("prompt_tokens") int promptTokens,
            @JsonProperty("total_tokens") int totalTokens,
            @JsonProperty("completion_tokens") int completionTokens) {}

    public static ClassifyResponse of(ClassifyRequest request, Classification answer) {
        Task task = answer.task();
        List<Item> items = new ArrayList<>();
        int tokens = 0;
        for (Classification.Prediction row : answer.predictions()) {
            items.add(item(items.size(), request, task.classification().head().labels(), row));
            tokens += row.tokens();
        }
        return new ClassifyResponse(
                "classify-" + request.id().orElseGet(() -> UUID.randomUUID().toString()),
                "list",
                System.currentTimeMillis() / 1_000,
                task.name().value(),
                task.version(),
                answer.staleness().map(Duration::toMillis).orElse(null),
                items,
                new Usage(tokens, tokens, 0));
    }

    /** Returns the same answer with another id. */
    public ClassifyResponse withId(String id) {
        return new ClassifyResponse(id, object, created, model, version, staleMs, data, usage);
    }

    private static Item item(int index, ClassifyRequest request, List<String> labels, Classification.Prediction row) {
        double[] probs = row.probabilities();
        return new Item(
                index,
                row.label().isPresent() ? labels.get(row.label().getAsInt()) : null,
                row instanceof Classification.MultiLabel several
                        ? several.labels().stream().map(labels::get).toList()
                        : null,
                row.score(),
                row.abstained(),
                request.activation() ? probs : doubles(row.logits()),
                probs.length,
                request.scores().map(selection -> selection.of(labels, probs)).orElse(null),
                request.logits() ? row.logits() : null);
    }

    private static double[] doubles(float[] values) {
        double[] doubles = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            doubles[i] = values[i];
        }
        return doubles;
    }
}
