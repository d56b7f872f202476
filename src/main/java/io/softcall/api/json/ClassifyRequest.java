package io.softcall.api.json;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.SoftcallException;
import io.softcall.inference.ClassificationRequest;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A validated request in vLLM's format. All fields that vLLM documents are accepted by name. A field takes effect where
 * Softcall supports it. It is ignored when it cannot change the answer, and refused when it asks for an answer that
 * Softcall cannot give. A value of {@code null} counts as absent.
 *
 * @param scores which labels' probabilities the answer names; empty: none
 * @param logits whether the answer contains the label logits
 * @param activation whether {@code probs} are probabilities; otherwise they are logits
 * @param id the caller's id of this request
 */
public record ClassifyRequest(
        ClassificationRequest classification,
        Optional<ScoreSelection> scores,
        boolean logits,
        boolean activation,
        Optional<String> id) {

    private static final String TOP_K = "top_k";
    private static final String MIN_SCORE = "min_score";

    /** vLLM's current and former names of the switch for the activation. */
    private static final List<String> ACTIVATION = List.of("use_activation", "activation", "softmax");

    /** Fields of vLLM that control scheduling, caching and padding, and do not change the answer. */
    private static final Set<String> IGNORED =
            Set.of("user", "priority", "cache_salt", "padding", "mm_processor_kwargs");

    private static final Set<String> USED = Set.of(
            "model",
            "input",
            "scores",
            TOP_K,
            MIN_SCORE,
            "logits",
            "truncate_prompt_tokens",
            "truncation_side",
            "add_special_tokens",
            "request_id");

    private static final Set<String> FIELDS = Stream.of(USED, ACTIVATION, IGNORED)
            .flatMap(Collection::stream)
            .collect(Collectors.toCollection(TreeSet::new));

    /** @throws SoftcallException {@code INVALID_REQUEST}, naming the field, its value and what is accepted */
    public static ClassifyRequest parse(byte[] body) {
        return of(RequestJson.read("the body", body));
    }

    /** @throws SoftcallException {@code INVALID_REQUEST}, naming the field, its value and what is accepted */
    public static ClassifyRequest of(JsonNode body) {
        Fields fields = Fields.ofBody(body, "{\"model\": ..., \"input\": ...}");
        for (var field : body.properties()) {
            if (!FIELDS.contains(field.getKey())) {
                throw SoftcallException.invalid(
                        "field \"%s\" is not known, expected %s", Fields.shorten(field.getKey()), FIELDS);
            }
        }
        OptionalInt truncate = truncate(body);
        refuseOtherTokens(fields, truncate.isPresent());
        return new ClassifyRequest(
                new ClassificationRequest(fields.task(), items(body.path("input")), truncate),
                scores(fields),
                fields.flag("logits", false),
                ACTIVATION.stream().allMatch(name -> fields.flag(name, true)),
                fields.requestId());
    }

    /** Either of the bounds asks for scores, too. */
    private static Optional<ScoreSelection> scores(Fields body) {
        boolean all = body.flag("scores", false);
        JsonNode topK = body.get(TOP_K);
        JsonNode minScore = body.get(MIN_SCORE);
        if (Fields.isGiven(topK) && !(topK.isInt() && topK.intValue() >= 1)) {
            throw SoftcallException.invalid(
                    "%s is %s, expected a number of labels from 1 to %d",
                    TOP_K, topK.isNumber() ? topK : Fields.kind(topK), Integer.MAX_VALUE);
        }
        if (Fields.isGiven(minScore)
                && !(minScore.isNumber() && minScore.doubleValue() >= 0 && minScore.doubleValue() <= 1)) {
            throw SoftcallException.invalid(
                    "%s is %s, expected a probability from 0 to 1",
                    MIN_SCORE, minScore.isNumber() ? minScore : Fields.kind(minScore));
        }
        if (!Fields.isGiven(topK) && !Fields.isGiven(minScore)) {
            return all ? Optional.of(new ScoreSelection.All()) : Optional.empty();
        }
        return Optional.of(new ScoreSelection.Best(
                Fields.isGiven(topK) ? topK.intValue() : Integer.MAX_VALUE,
                Fields.isGiven(minScore) ? minScore.doubleValue() : 0));
    }

    /** Refuses other tokens than those of training: texts had no special tokens, and were cut at their end. */
    private static void refuseOtherTokens(Fields body, boolean truncate) {
        if (body.flag("add_special_tokens", false)) {
            throw SoftcallException.invalid(
                    "add_special_tokens is true, expected false: prompts are trained without them");
        }
        JsonNode side = body.get("truncation_side");
        if (Fields.isGiven(side) && !List.of("left", "right").contains(side.asText())) {
            throw SoftcallException.invalid("truncation_side is %s, expected \"right\"", Fields.kind(side));
        }
        if (truncate && side.asText().equals("left")) {
            throw SoftcallException.invalid(
                    "truncation_side is \"left\", expected \"right\": texts are cut at their end");
        }
    }

    /** Reads a text, a list of texts, or a list of pairs. */
    private static List<List<String>> items(JsonNode input) {
        if (input.isTextual()) {
            return List.of(List.of(input.textValue()));
        }
        if (!input.isArray()) {
            throw SoftcallException.invalid(
                    "input is %s, expected a text, a list of texts, or a list of pairs", Fields.kind(input));
        }
        List<List<String>> items = new ArrayList<>(input.size());
        for (JsonNode item : input) {
            if (item.isTextual()) {
                items.add(List.of(item.textValue()));
            } else if (item.isArray()
                    && item.size() == 2
                    && item.get(0).isTextual()
                    && item.get(1).isTextual()) {
                items.add(List.of(item.get(0).textValue(), item.get(1).textValue()));
            } else {
                throw SoftcallException.invalid(
                        "input[%d] is %s, expected a text or a pair [text1, text2]",
                        items.size(), item.isArray() ? "a list of %d".formatted(item.size()) : Fields.kind(item));
            }
        }
        return items;
    }

    private static OptionalInt truncate(JsonNode body) {
        JsonNode value = body.path("truncate_prompt_tokens");
        if (!Fields.isGiven(value)) {
            return OptionalInt.empty();
        }
        if (!value.isInt() || value.intValue() == 0 || value.intValue() < -1) {
            throw SoftcallException.invalid(
                    "truncate_prompt_tokens is %s, expected a number of tokens, or -1 for as many as are accepted",
                    value.isNumber() ? value : Fields.kind(value));
        }
        return OptionalInt.of(value.intValue() == -1 ? Integer.MAX_VALUE : value.intValue());
    }
}
