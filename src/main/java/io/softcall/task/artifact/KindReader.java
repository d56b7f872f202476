package io.softcall.task.artifact;

import static io.softcall.task.artifact.Metadata.isGiven;
import static io.softcall.task.artifact.Metadata.text;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.task.Kind;
import io.softcall.task.LabelHead;
import io.softcall.task.RefusedException;
import io.softcall.task.Template;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;

/** Reads what a task does: the fields of its kind, and its label head. docs/task-artifact.md specifies them. */
final class KindReader {

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

    /** The bounds on a generation task's own defaults. */
    private static final int MOST_TOKENS = 1_000_000;

    private static final int MAX_STOPS = 16;
    private static final int MAX_STOP = 200;
    private static final double MAX_TEMPERATURE = 2;

    /** The fields and tensors that a generation task must not have. */
    private static final List<String> OF_LABELS = List.of("labels", "abstain_threshold", "thresholds", "temperature");

    private static final List<String> LABEL_TENSORS = List.of("label_head", "label_bias");

    private final Safetensors file;
    private final Metadata metadata;
    private final JsonNode fields;
    private final int hidden;

    private KindReader(Safetensors file, Metadata metadata, int hidden) {
        this.file = file;
        this.metadata = metadata;
        this.fields = metadata.fields();
        this.hidden = hidden;
    }

    /**
     * @param hidden the width of hidden rows
     * @throws RefusedException if a field or a tensor of the kind is missing, or cannot be served
     */
    static Kind read(Safetensors file, Metadata metadata, int hidden) throws RefusedException {
        KindReader reader = new KindReader(file, metadata, hidden);
        return switch (metadata.kind()) {
            case CLASSIFICATION -> reader.oneLabel();
            case MULTI_LABEL -> reader.multiLabel();
            case GENERATION -> reader.generation();
        };
    }

    private Kind oneLabel() throws RefusedException {
        List<String> labels = labels();
        Template template = template();
        OptionalDouble threshold = abstainThreshold();
        double temperature = temperature();
        return new Kind.OneLabel(template, head(labels), temperature, threshold);
    }

    private Kind multiLabel() throws RefusedException {
        List<String> labels = labels();
        Template template = template();
        double[] thresholds = thresholds(labels);
        double temperature = temperature();
        return new Kind.MultiLabel(template, head(labels), temperature, thresholds);
    }

    private LabelHead head(List<String> labels) throws RefusedException {
        return new LabelHead(
                labels, file.floats("label_head", labels.size(), hidden), file.floats("label_bias", labels.size()));
    }

    private Kind generation() throws RefusedException {
        for (String field : OF_LABELS) {
            if (isGiven(fields.path(field))) {
                throw new RefusedException("%s is given, expected none: the kind \"generation\" has no labels", field);
            }
        }
        for (String tensor : LABEL_TENSORS) {
            if (file.tensor(tensor).isPresent()) {
                throw new RefusedException(
                        "tensor %s is given, expected none: the kind \"generation\" has no labels", tensor);
            }
        }
        boolean chat = isChat();
        return new Kind.Generation(chat ? Optional.empty() : Optional.of(completionTemplate()), chat, defaults());
    }

    private boolean isChat() throws RefusedException {
        JsonNode chat = fields.path("chat");
        if (isGiven(chat) && !chat.isBoolean()) {
            throw new RefusedException("chat is %s, expected true or false", chat);
        }
        if (chat.booleanValue() && isGiven(fields.path("template"))) {
            throw new RefusedException("template is given, expected none: chats have the base's chat template");
        }
        return chat.booleanValue();
    }

    private Template completionTemplate() throws RefusedException {
        Template template = isGiven(fields.path("template")) ? template() : Template.OF_TEXT;
        if (template.fields() != 1) {
            throw new RefusedException("template \"%s\" has two texts, expected {text} once", template);
        }
        return template;
    }

    private Kind.Defaults defaults() throws RefusedException {
        JsonNode given = fields.path("generation");
        if (isGiven(given) && !given.isObject()) {
            throw new RefusedException("generation is %s, expected an object", given);
        }
        JsonNode tokens = given.path("max_tokens");
        if (isGiven(tokens) && !(tokens.isInt() && tokens.intValue() >= 1 && tokens.intValue() <= MOST_TOKENS)) {
            throw new RefusedException("generation.max_tokens is %s, expected 1 to %d", tokens, MOST_TOKENS);
        }
        OptionalDouble topP = number(given, "top_p", 1);
        if (topP.isPresent() && topP.getAsDouble() == 0) {
            throw new RefusedException("generation.top_p is 0, expected a number in (0, 1]");
        }
        return new Kind.Defaults(
                isGiven(tokens) ? OptionalInt.of(tokens.intValue()) : OptionalInt.empty(),
                stop(given.path("stop")),
                number(given, "temperature", MAX_TEMPERATURE),
                topP);
    }

    private static List<String> stop(JsonNode texts) throws RefusedException {
        if (!isGiven(texts)) {
            return List.of();
        }
        if (!texts.isArray() || texts.isEmpty() || texts.size() > MAX_STOPS) {
            throw new RefusedException("generation.stop: expected a list of 1 to %d texts", MAX_STOPS);
        }
        List<String> stop = new ArrayList<>();
        for (JsonNode text : texts) {
            if (!text.isTextual()
                    || text.textValue().isEmpty()
                    || text.textValue().length() > MAX_STOP) {
                throw new RefusedException(
                        "generation.stop[%d] is not a text of 1 to %d characters", stop.size(), MAX_STOP);
            }
            stop.add(text.textValue());
        }
        return stop;
    }

    private static OptionalDouble number(JsonNode given, String field, double most) throws RefusedException {
        JsonNode number = given.path(field);
        if (!isGiven(number)) {
            return OptionalDouble.empty();
        }
        if (!(number.isNumber() && number.doubleValue() >= 0 && number.doubleValue() <= most)) {
            throw new RefusedException("generation.%s is %s, expected a number from 0 to %s", field, number, most);
        }
        return OptionalDouble.of(number.doubleValue());
    }

    private List<String> labels() throws RefusedException {
        JsonNode node = fields.path("labels");
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

    private Template template() throws RefusedException {
        String source = text(fields, "template");
        if (source.length() > MAX_TEMPLATE) {
            throw new RefusedException(
                    "template has %d characters, at most %d are accepted", source.length(), MAX_TEMPLATE);
        }
        return new Template(source);
    }

    private OptionalDouble abstainThreshold() throws RefusedException {
        if (metadata.hasTypes() && isGiven(fields.path("thresholds"))) {
            throw new RefusedException("thresholds are given, expected none: only the kind \"multi_label\" has them");
        }
        JsonNode threshold = fields.path("abstain_threshold");
        if (!isGiven(threshold)) {
            return OptionalDouble.empty();
        }
        if (!isProbability(threshold)) {
            throw new RefusedException("abstain_threshold is %s, expected null or a probability in (0, 1]", threshold);
        }
        return OptionalDouble.of(threshold.doubleValue());
    }

    private double[] thresholds(List<String> labels) throws RefusedException {
        JsonNode abstain = fields.path("abstain_threshold");
        if (isGiven(abstain)) {
            throw new RefusedException(
                    "abstain_threshold is %s, expected null: the labels of the kind \"multi_label\" have thresholds",
                    abstain);
        }
        JsonNode given = fields.path("thresholds");
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
        return thresholds;
    }

    private static boolean isProbability(JsonNode node) {
        return node.isNumber() && node.doubleValue() > 0 && node.doubleValue() <= 1;
    }

    private double temperature() throws RefusedException {
        JsonNode node = fields.path("temperature");
        double temperature = node.isMissingNode() ? 1 : node.asDouble(Double.NaN);
        if (!(temperature > 0) || Double.isInfinite(temperature)) {
            throw new RefusedException("temperature is %s, expected a number greater than 0", node);
        }
        return temperature;
    }
}
