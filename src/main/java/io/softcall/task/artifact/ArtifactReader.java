package io.softcall.task.artifact;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.StrictJson;
import io.softcall.Surrogates;
import io.softcall.task.LabelHead;
import io.softcall.task.PrefixLayout;
import io.softcall.task.Prompt;
import io.softcall.task.ReadyPrefix;
import io.softcall.task.RefusedException;
import io.softcall.task.Requirements;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import io.softcall.task.Template;
import io.softcall.task.artifact.Safetensors.Tensor;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;

/** Turns the bytes of an artifact into a {@link Task}, or refuses it with the reason. */
public final class ArtifactReader {

    /**
     * The bound on JSON tokens of the metadata: enough for the labels, and for a few thousand fields about metrics and
     * training.
     */
    private static final int MAX_TOKENS = 50_000;

    private static final int MAX_DEPTH = 64;
    private static final StrictJson JSON = new StrictJson(MAX_DEPTH, MAX_TOKENS);
    private static final String BYTE_ORDER_MARK = "\ufeff";

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

    private final Requirements requirements;
    private final Signers signers;

    public ArtifactReader(Requirements requirements, Signers signers) {
        this.requirements = requirements;
        this.signers = signers;
    }

    /** Reads an artifact from a copy, whose time of storage is unknown. */
    public Task read(TaskName name, String version, byte[] bytes) throws RefusedException {
        return read(name, version, Optional.empty(), bytes);
    }

    /**
     * Reads an artifact.
     *
     * @param stored the time when this version was stored; empty for a copy
     * @throws RefusedException if the artifact cannot be served
     */
    public Task read(TaskName name, String version, Optional<Instant> stored, byte[] bytes) throws RefusedException {
        Safetensors file = Safetensors.parse(bytes);
        Optional<Instant> signedAt = signers.check(name, bytes, file);
        refuseOtherMethods(file);
        String written = written(file);
        JsonNode metadata = metadata(written);
        checkBase(metadata.path("base"));
        List<String> labels = labels(metadata.path("labels"));
        Prompt prompt = prompt(file);
        LabelHead head = new LabelHead(
                labels,
                floats(file, "label_head", labels.size(), requirements.hidden()),
                floats(file, "label_bias", labels.size()));
        return new Task(
                name,
                version,
                stored,
                prompt,
                readyPrefix(file, metadata.path("prefix_layouts"), prompt.tokens()),
                head,
                template(text(metadata, "template")),
                temperature(metadata.path("temperature")),
                abstainThreshold(metadata.path("abstain_threshold")),
                signedAt,
                written,
                bytes.length);
    }

    /** Refuses multitask prompt tuning. Its prompt has the right name and shape, but no meaning without its task's rows. */
    private static void refuseOtherMethods(Safetensors file) throws RefusedException {
        for (String tensor : List.of("prefix_task_cols", "prefix_task_rows")) {
            if (file.tensor(tensor).isPresent()) {
                throw new RefusedException(
                        "tensor %s belongs to peft_type MULTITASK_PROMPT_TUNING, expected PROMPT_TUNING", tensor);
            }
        }
    }

    /** Returns the metadata as it was written, for people to read. Parsing and writing it again would change numbers. */
    private static String written(Safetensors file) throws RefusedException {
        String json = file.metadata().get("softcall");
        if (json == null) {
            throw new RefusedException(
                    "no \"softcall\" metadata: a plain PEFT file must be stored with `softcall push`, which adds template"
                            + " and labels");
        }
        return json.startsWith(BYTE_ORDER_MARK) ? json.substring(1) : json;
    }

    private static JsonNode metadata(String json) throws RefusedException {
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
        if (metadata.path("schema").asInt(-1) != 1) {
            throw new RefusedException("schema %s, this server reads schema 1", metadata.path("schema"));
        }
        String kind = text(metadata, "kind");
        if (!kind.equals("classification")) {
            throw new RefusedException("kind \"%s\" is not served yet, expected \"classification\"", kind);
        }
        return metadata;
    }

    private void checkBase(JsonNode base) throws RefusedException {
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

    private Prompt prompt(Safetensors file) throws RefusedException {
        Tensor tensor = require(file, "prompt_embeddings");
        if (tensor.shape().size() != 2) {
            throw new RefusedException(
                    "prompt_embeddings has shape %s, expected [tokens, %d]", tensor.shape(), requirements.hidden());
        }
        long tokens = tensor.shape().getFirst();
        if (tokens < 1 || tokens > requirements.maxPromptTokens()) {
            throw new RefusedException(
                    "prompt_embeddings has %d tokens, at most %d are served (softcall.limits.prompt-tokens)",
                    tokens, requirements.maxPromptTokens());
        }
        return new Prompt(
                (int) tokens,
                requirements.hidden(),
                floats(file, "prompt_embeddings", (int) tokens, requirements.hidden()));
    }

    /**
     * Returns the ready prefix; empty if there is none for the served variant, or if its keys and values are scaled
     * differently.
     */
    private Optional<ReadyPrefix> readyPrefix(Safetensors file, JsonNode layouts, int tokens) throws RefusedException {
        PrefixLayout layout = requirements.prefix();
        String name = "prefix." + layout.variant();
        Optional<Tensor> found = file.tensor(name);
        if (found.isEmpty() || !layouts.path(layout.variant()).asText().equals(layout.digest())) {
            if (!requirements.encodes()) {
                throw new RefusedException(
                        "it has no prefix for the variant %s, and this server's base %s has no full-precision trunk to compute one:"
                                + " store it with `softcall push --prefix %s`",
                        layout.variant(), requirements.baseName(), layout.variant());
            }
            return Optional.empty();
        }
        Tensor tensor = found.get();
        checkShape(tensor, layout.layers(), 2, layout.kvHeads(), tokens, layout.headDim());
        if (!tensor.dtype().equals("F16")) {
            throw new RefusedException("tensor %s has type %s, expected F16", name, tensor.dtype());
        }
        return Optional.of(new ReadyPrefix(name, tensor.data()));
    }

    private static double temperature(JsonNode node) throws RefusedException {
        double temperature = node.isMissingNode() ? 1 : node.asDouble(Double.NaN);
        if (!(temperature > 0) || Double.isInfinite(temperature)) {
            throw new RefusedException("temperature is %s, expected a number greater than 0", node);
        }
        return temperature;
    }

    private static OptionalDouble abstainThreshold(JsonNode node) throws RefusedException {
        if (node.isMissingNode() || node.isNull()) {
            return OptionalDouble.empty();
        }
        double threshold = node.asDouble(Double.NaN);
        if (!(threshold > 0 && threshold <= 1)) {
            throw new RefusedException("abstain_threshold is %s, expected null or a probability in (0, 1]", node);
        }
        return OptionalDouble.of(threshold);
    }

    private static String text(JsonNode node, String field) throws RefusedException {
        JsonNode value = node.path(field);
        if (!value.isTextual()) {
            throw new RefusedException("%s is %s, expected a text", field, value.isMissingNode() ? "missing" : value);
        }
        return value.textValue();
    }

    private static Tensor require(Safetensors file, String name) throws RefusedException {
        return file.tensor(name).orElseThrow(() -> new RefusedException("tensor %s is missing", name));
    }

    /** Returns the values of a tensor. Refuses another shape, and values that are not finite. */
    private static float[] floats(Safetensors file, String name, int... shape) throws RefusedException {
        Tensor tensor = require(file, name);
        checkShape(tensor, shape);
        float[] values = tensor.floats();
        for (int i = 0; i < values.length; i++) {
            checkFinite(name, i, values[i]);
        }
        return values;
    }

    private static void checkShape(Tensor tensor, int... shape) throws RefusedException {
        List<Long> expected = new ArrayList<>();
        for (int dimension : shape) {
            expected.add((long) dimension);
        }
        if (!tensor.shape().equals(expected)) {
            throw new RefusedException("tensor %s has shape %s, expected %s", tensor.name(), tensor.shape(), expected);
        }
    }

    private static void checkFinite(String name, int element, float value) throws RefusedException {
        if (!Float.isFinite(value)) {
            throw new RefusedException("tensor %s holds the value %s at element %d", name, value, element);
        }
    }
}
