package io.softcall.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.SoftcallException;
import io.softcall.api.json.Fields;
import io.softcall.api.json.NeutralFields;
import io.softcall.api.json.RequestJson;
import io.softcall.inference.generation.GenerationRequest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;

/** Reads the fields that completions and chats share. */
final class OptionFields {

    /** OpenAI's limit, as the next ones. */
    private static final int MOST_ANSWERS = 128;

    static final int MOST_TOP_LOGPROBS = 20;
    private static final int MOST_BIASES = 300;
    private static final double MOST_BIAS = 100;
    private static final double MOST_PENALTY = 2;
    private static final double MOST_TEMPERATURE = 2;
    private static final int MOST_STOPS = 16;
    private static final int MOST_STOP = 200;
    private static final int MOST_CHOICES = 1_000;
    private static final int MOST_CHOICE = 1_000;

    private static final String GUIDED_CHOICE = "guided_choice";
    private static final String STRUCTURED = "structured_outputs";
    private static final String STREAM_OPTIONS = "stream_options";

    static final Set<String> USED = Set.of(
            "model",
            "max_tokens",
            "min_tokens",
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "repetition_penalty",
            "presence_penalty",
            "frequency_penalty",
            "logit_bias",
            "seed",
            "n",
            "best_of",
            "stop",
            "include_stop_str_in_output",
            "ignore_eos",
            "logprobs",
            "stream",
            STREAM_OPTIONS,
            STRUCTURED,
            GUIDED_CHOICE,
            "request_id");

    /** Fields that control scheduling, caching, storage and billing, and those whose effect is that of another field. */
    static final Set<String> IGNORED = Set.of(
            "user",
            "metadata",
            "service_tier",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "priority",
            "cache_salt",
            "length_penalty",
            "spaces_between_special_tokens",
            "guided_decoding_backend",
            "guided_whitespace_pattern");

    static final NeutralFields NEUTRAL = new NeutralFields(Map.ofEntries(
            Map.entry("echo", List.of("false")),
            Map.entry("store", List.of("false")),
            Map.entry("response_format", List.of("{\"type\":\"text\"}")),
            Map.entry("use_beam_search", List.of("false")),
            Map.entry("stop_token_ids", List.of("[]")),
            Map.entry("bad_words", List.of("[]")),
            Map.entry("allowed_token_ids", List.of()),
            Map.entry("logits_processors", List.of("[]")),
            Map.entry("skip_special_tokens", List.of("true")),
            Map.entry("add_special_tokens", List.of("false")),
            Map.entry("truncate_prompt_tokens", List.of()),
            Map.entry("prompt_logprobs", List.of()),
            Map.entry("return_tokens_as_token_ids", List.of("false")),
            Map.entry("return_token_ids", List.of("false")),
            Map.entry("guided_json", List.of()),
            Map.entry("guided_regex", List.of()),
            Map.entry("guided_grammar", List.of())));

    private static final NeutralFields STRUCTURED_NEUTRAL = new NeutralFields(Map.of(
            "json", List.of(),
            "regex", List.of(),
            "grammar", List.of(),
            "json_object", List.of("false"),
            "structural_tag", List.of()));

    private final Fields fields;
    private final RequestBounds bounds;

    OptionFields(Fields fields, RequestBounds bounds) {
        this.fields = fields;
        this.bounds = bounds;
    }

    /**
     * @param maxTokens the bound on new tokens
     * @param topLogprobs how many tokens' log-probabilities are reported; empty: none
     */
    GenerationRequest.Options options(OptionalInt maxTokens, OptionalInt topLogprobs) {
        int minTokens = fields.whole("min_tokens", 0, Integer.MAX_VALUE).orElse(0);
        if (minTokens > maxTokens.orElse(Integer.MAX_VALUE)) {
            throw fields.refused("min_tokens", "at most max_tokens, which is %d".formatted(maxTokens.getAsInt()));
        }
        return new GenerationRequest.Options(
                maxTokens,
                minTokens,
                stop(),
                fields.flag("include_stop_str_in_output", false),
                fields.flag("ignore_eos", false),
                fields.number("temperature", 0, MOST_TEMPERATURE),
                fields.positive("top_p", 1),
                topK(),
                fields.number("min_p", 0, 1).orElse(0),
                fields.positive("repetition_penalty", 2).orElse(1),
                fields.number("presence_penalty", -MOST_PENALTY, MOST_PENALTY).orElse(0),
                fields.number("frequency_penalty", -MOST_PENALTY, MOST_PENALTY).orElse(0),
                logitBias(),
                seed(),
                topLogprobs,
                choices());
    }

    /** Returns how many answers each prompt gets. */
    int n() {
        int n = fields.whole("n", 1, MOST_ANSWERS).orElse(1);
        if (fields.isGiven("best_of") && fields.get("best_of").asInt(-1) != n) {
            throw fields.refused("best_of", "null or the value of n, which is %d".formatted(n));
        }
        return n;
    }

    Optional<TextRequest.Streaming> streaming() {
        boolean stream = fields.flag("stream", false);
        if (!fields.isGiven(STREAM_OPTIONS)) {
            return stream ? Optional.of(new TextRequest.Streaming(false)) : Optional.empty();
        }
        if (!stream) {
            throw fields.refused(STREAM_OPTIONS, "null, as stream is not true");
        }
        Fields options =
                object(STREAM_OPTIONS, Set.of("include_usage", "include_obfuscation", "continuous_usage_stats"));
        for (String other : List.of("include_obfuscation", "continuous_usage_stats")) {
            if (options.flag(other, false)) {
                throw options.refused(other, "false");
            }
        }
        return Optional.of(new TextRequest.Streaming(options.flag("include_usage", false)));
    }

    private Fields object(String name, Set<String> known) {
        if (!fields.get(name).isObject()) {
            throw fields.refused(name, "an object");
        }
        Fields object = new Fields(name + ".", fields.get(name));
        object.requireKnown(known);
        return object;
    }

    private int topK() {
        int topK = fields.whole("top_k", -1, Integer.MAX_VALUE).orElse(0);
        return Math.max(0, topK);
    }

    private OptionalLong seed() {
        JsonNode seed = fields.get("seed");
        if (!fields.isGiven("seed")) {
            return OptionalLong.empty();
        }
        if (!seed.isIntegralNumber() || !seed.canConvertToLong()) {
            throw fields.refused("seed", "a whole number from %d to %d".formatted(Long.MIN_VALUE, Long.MAX_VALUE));
        }
        return OptionalLong.of(seed.longValue());
    }

    /** An empty list means that there are no stop texts, not even those of the task. */
    private Optional<List<String>> stop() {
        JsonNode stop = fields.get("stop");
        if (!fields.isGiven("stop")) {
            return Optional.empty();
        }
        if (stop.isTextual()) {
            return Optional.of(List.of(text("stop", stop, MOST_STOP)));
        }
        if (!stop.isArray()) {
            throw fields.refused("stop", "a text or a list of up to %d texts".formatted(MOST_STOPS));
        }
        return Optional.of(stop.isEmpty() ? List.of() : texts("stop", stop, MOST_STOPS, MOST_STOP));
    }

    private List<String> choices() {
        if (!fields.isGiven(STRUCTURED)) {
            return fields.isGiven(GUIDED_CHOICE) ? choices(GUIDED_CHOICE, fields.get(GUIDED_CHOICE)) : List.of();
        }
        if (fields.isGiven(GUIDED_CHOICE)) {
            throw fields.refused(GUIDED_CHOICE, "null, as structured_outputs is given");
        }
        Fields structured =
                object(STRUCTURED, Set.of("choice", "json", "regex", "grammar", "json_object", "structural_tag"));
        STRUCTURED_NEUTRAL.check(structured);
        return choices("structured_outputs.choice", structured.get("choice"));
    }

    private static List<String> choices(String name, JsonNode list) {
        List<String> choices = texts(name, list, MOST_CHOICES, MOST_CHOICE);
        Set<String> seen = new HashSet<>();
        for (int i = 0; i < choices.size(); i++) {
            if (!seen.add(choices.get(i))) {
                throw SoftcallException.invalid(
                        "%s[%d] is \"%s\" again, expected distinct texts", name, i, Fields.shorten(choices.get(i)));
            }
        }
        return choices;
    }

    private static List<String> texts(String name, JsonNode list, int most, int mostCharacters) {
        if (!list.isArray() || list.isEmpty() || list.size() > most) {
            throw SoftcallException.invalid(
                    "%s is %s, expected a list of 1 to %d texts",
                    name, list.isArray() ? "a list of %d".formatted(list.size()) : Fields.kind(list), most);
        }
        List<String> texts = new ArrayList<>(list.size());
        for (JsonNode text : list) {
            texts.add(text("%s[%d]".formatted(name, texts.size()), text, mostCharacters));
        }
        return texts;
    }

    private static String text(String name, JsonNode text, int most) {
        if (!text.isTextual() || text.textValue().isEmpty() || text.textValue().length() > most) {
            throw SoftcallException.invalid(
                    "%s is %s, expected a text of 1 to %d characters",
                    name, text.isTextual() ? "a text of " + text.textValue().length() : Fields.kind(text), most);
        }
        return RequestJson.repeatable(name, text.textValue());
    }

    private Map<Integer, Float> logitBias() {
        JsonNode given = fields.get("logit_bias");
        if (!fields.isGiven("logit_bias")) {
            return Map.of();
        }
        if (!given.isObject() || given.size() > MOST_BIASES) {
            throw SoftcallException.invalid(
                    "logit_bias is %s, expected an object of at most %d token ids with their biases",
                    given.isObject() ? "an object of %d".formatted(given.size()) : Fields.kind(given), MOST_BIASES);
        }
        Map<Integer, Float> biases = new HashMap<>();
        for (var entry : given.properties()) {
            int id = tokenId(entry.getKey());
            JsonNode bias = entry.getValue();
            if (!bias.isNumber() || !(Math.abs(bias.doubleValue()) <= MOST_BIAS)) {
                throw SoftcallException.invalid(
                        "logit_bias.%d is %s, expected a number from -100 to 100", id, Fields.kind(bias));
            }
            if (biases.put(id, bias.floatValue()) != null) {
                throw SoftcallException.invalid("logit_bias has the token id %d twice, expected it once", id);
            }
        }
        return biases;
    }

    private int tokenId(String name) {
        int id = name.matches("[0-9]{1,9}") ? Integer.parseInt(name) : -1;
        if (id < 0 || id >= bounds.vocabulary()) {
            throw SoftcallException.invalid(
                    "logit_bias has \"%s\", expected a token id from 0 to %d",
                    Fields.shorten(name), bounds.vocabulary() - 1);
        }
        return id;
    }
}
