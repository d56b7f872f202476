package io.softcall.task.artifact;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.StrictJson;
import io.softcall.Surrogates;
import io.softcall.task.Kind;
import io.softcall.task.RefusedException;
import io.softcall.task.Requirements;
import io.softcall.task.Template;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;

/**
 * The {@code softcall} metadata of an artifact. docs/task-artifact.md specifies it.
 *
 * @param written the metadata as it was written, for people to read. Parsing and writing it again would change numbers.
 * @param isKv whether the prompt is a KV prompt
 * @param labels distinct names, in the order of the label head's rows
 * @param kind what the task answers
 * @param temperature the divisor of the logits; greater than 0
 * @param prefixLayouts the digest of each {@code prefix.<variant>} tensor by its variant, not validated
 */
record Metadata(
        String written,
        boolean isKv,
        Template template,
        List<String> labels,
        Kind kind,
        double temperature,
        JsonNode prefixLayouts) {

    /**
     * The bound on JSON tokens of the metadata: enough for the labels, and for a few thousand fields about metrics and
     * training.
     */
    private static final int MAX_TOKENS = 50_000;

    private static final int MAX_DEPTH = 64;
    private static final StrictJson JSON = new StrictJson(MAX_DEPTH, MAX_TOKENS);
    private static final String BYTE_ORDER_MARK = "\ufeff";

    /** The schema whose prompts all are soft, and whose tasks all have one label. */
    private static final int SCHEMA_OF_ONE_TYPE = 1;

    private static final int SCHEMA = 2;

    private static final int MAX_LABELS = 10_000;
    /** The bound on one label, in UTF-16 units. */
    private static final int MAX_LABEL = 1_000;
    /** The bound on all labels, in UTF-8, because an answer may repeat all of them for each input. */
    private static final int MAX_LABELS_BYTES = 256 << 10;

    /**
     * The bound on a template in UTF-16 units, about 5,000 tokens. Each input adds them to the work of the tokenizer, which
     * cannot be interrupted.
     */
    private static final int MAX_TEMPLATE = 20_000;

    Metadata {
        labels = List.copyOf(labels);
    }

    /** @throws RefusedException if the file has no metadata, or metadata that cannot be served */
    static Metadata read(Safetensors file, Requirements requirements) throws RefusedException {
        String json = file.metadata().get("softcall");
        if (json == null) {
            throw new RefusedException(
                    "no \"softcall\" metadata: a plain PEFT file must be stored with `softcall push`, which adds template"
                            + " and labels");
        }
        String written = json.startsWith(BYTE_ORDER_MARK) ? json.substring(1) : json;
        JsonNode metadata = parse(written);
        int schema = schema(metadata.path("schema"));
        boolean multiLabel = isMultiLabel(schema, text(metadata, "kind"));
        boolean kv = schema != SCHEMA_OF_ONE_TYPE && isKv(metadata.path("prompt"));
        checkBase(metadata.path("base"), requirements);
        List<String> labels = labels(metadata.path("labels"));
        return new Metadata(
                written,
                kv,
                template(text(metadata, "template")),
                labels,
                multiLabel ? multiLabel(metadata, labels) : oneLabel(metadata, schema),
                temperature(metadata.path("temperature")),
                metadata.path("prefix_layouts"));
    }

    private static JsonNode parse(String json) throws RefusedException {
        JsonNode metadata;
        try {
            metadata = JSON.read(json);
        } catch (StrictJson.MalformedException e) {
            throw new RefusedException("\"softcall\" metadata %s", e.getMessage());
        }
        if (Surrogates.hasHalf(metadata.toString())) {
            throw new RefusedException(
                    "\"softcall\" metadata has half of a surrogate pair (\\ud800 to \\udfff), expected Unicode");
        }
        return metadata;
    }

    private static int schema(JsonNode node) throws RefusedException {
        int schema = node.isInt() ? node.intValue() : -1;
        if (schema != SCHEMA_OF_ONE_TYPE && schema != SCHEMA) {
            throw new RefusedException(
                    "schema %s, this server reads schemas %d and %d", node, SCHEMA_OF_ONE_TYPE, SCHEMA);
        }
        return schema;
    }

    private static boolean isMultiLabel(int schema, String kind) throws RefusedException {
        return switch (kind) {
            case "classification" -> false;
            case "multi_label" -> {
                if (schema == SCHEMA_OF_ONE_TYPE) {
                    throw new RefusedException(
                            "kind \"multi_label\" in schema %d, expected schema %d", SCHEMA_OF_ONE_TYPE, SCHEMA);
                }
                yield true;
            }
            default ->
                throw new RefusedException(
                        "kind \"%s\" is not served yet, expected \"classification\" or \"multi_label\"", kind);
        };
    }

    private static boolean isKv(JsonNode prompt) throws RefusedException {
        return switch (prompt.asText()) {
            case "soft" -> false;
            case "kv" -> true;
            default ->
                throw new RefusedException(
                        "prompt is %s, expected \"soft\" or \"kv\"", prompt.isMissingNode() ? "missing" : prompt);
        };
    }

    private static void checkBase(JsonNode base, Requirements requirements) throws RefusedException {
        String fingerprint = text(base, "fingerprint");
        if (!requirements.fingerprints().contains(fingerprint)) {
            throw new RefusedException(
                    "trained for base %s with fingerprint %s, this server runs %s with fingerprint %s;"
                            + " softcall.base.accept can name other fingerprints",
                    base.path("name"),
                    fingerprint,
                    requirements.baseName(),
                    String.join(" or ", requirements.fingerprints()));
        }
    }

    private static List<String> labels(JsonNode node) throws RefusedException {
        if (!node.isArray() || node.size() < 2 || node.size() > MAX_LABELS) {
            throw new RefusedException("labels: expected a list of 2 to %d names", MAX_LABELS);
        }
        List<String> labels = new ArrayList<>();
        Set<String> seen = new HashSet<>();
        long bytes = 0;
        for (JsonNode label : node) {
            if (!label.isTextual() || label.textValue().isEmpty()) {
                throw new RefusedException("label %d is %s, expected a non-empty text", labels.size(), label);
            }
            if (label.textValue().length() > MAX_LABEL) {
                throw new RefusedException(
                        "label %d has %d characters, at most %d are accepted",
                        labels.size(), label.textValue().length(), MAX_LABEL);
            }
            bytes += label.textValue().getBytes(StandardCharsets.UTF_8).length;
            if (bytes > MAX_LABELS_BYTES) {
                throw new RefusedException(
                        "%d labels have more than %d bytes, the most that are accepted", node.size(), MAX_LABELS_BYTES);
            }
            if (!seen.add(label.textValue())) {
                throw new RefusedException("label \"%s\" appears twice", label.textValue());
            }
            labels.add(label.textValue());
        }
        return labels;
    }

    private static Template template(String source) throws RefusedException {
        if (source.length() > MAX_TEMPLATE) {
            throw new RefusedException(
                    "template has %d characters, at most %d are accepted", source.length(), MAX_TEMPLATE);
        }
        return new Template(source);
    }

    private static Kind oneLabel(JsonNode metadata, int schema) throws RefusedException {
        if (schema != SCHEMA_OF_ONE_TYPE && isGiven(metadata.path("thresholds"))) {
            throw new RefusedException("thresholds are given, expected none: only the kind \"multi_label\" has them");
        }
        JsonNode threshold = metadata.path("abstain_threshold");
        if (!isGiven(threshold)) {
            return new Kind.OneLabel(OptionalDouble.empty());
        }
        if (!isProbability(threshold)) {
            throw new RefusedException("abstain_threshold is %s, expected null or a probability in (0, 1]", threshold);
        }
        return new Kind.OneLabel(OptionalDouble.of(threshold.doubleValue()));
    }

    private static Kind multiLabel(JsonNode metadata, List<String> labels) throws RefusedException {
        JsonNode abstain = metadata.path("abstain_threshold");
        if (isGiven(abstain)) {
            throw new RefusedException(
                    "abstain_threshold is %s, expected null: the labels of the kind \"multi_label\" have thresholds",
                    abstain);
        }
        JsonNode given = metadata.path("thresholds");
        if (!given.isArray() || given.size() != labels.size()) {
            throw new RefusedException(
                    "thresholds are %s, expected a list of %d probabilities, one for each label",
                    given.isMissingNode() ? "missing" : given.isArray() ? "a list of " + given.size() : given,
                    labels.size());
        }
        double[] thresholds = new double[labels.size()];
        for (int i = 0; i < thresholds.length; i++) {
            if (!isProbability(given.get(i))) {
                throw new RefusedException(
                        "the threshold of label \"%s\" is %s, expected a probability in (0, 1]",
                        labels.get(i), given.get(i));
            }
            thresholds[i] = given.get(i).doubleValue();
        }
        return new Kind.MultiLabel(thresholds);
    }

    private static boolean isProbability(JsonNode node) {
        return node.isNumber() && node.doubleValue() > 0 && node.doubleValue() <= 1;
    }

    private static double temperature(JsonNode node) throws RefusedException {
        double temperature = node.isMissingNode() ? 1 : node.asDouble(Double.NaN);
        if (!(temperature > 0) || Double.isInfinite(temperature)) {
            throw new RefusedException("temperature is %s, expected a number greater than 0", node);
        }
        return temperature;
    }

    private static boolean isGiven(JsonNode node) {
        return !node.isMissingNode() && !node.isNull();
    }

    private static String text(JsonNode node, String field) throws RefusedException {
        JsonNode value = node.path(field);
        if (!value.isTextual()) {
            throw new RefusedException("%s is %s, expected a text", field, value.isMissingNode() ? "missing" : value);
        }
        return value.textValue();
    }
}
