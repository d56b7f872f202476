package io.softcall.task.artifact;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.StrictJson;
import io.softcall.Surrogates;
import io.softcall.task.RefusedException;
import io.softcall.task.Requirements;

/**
 * The {@code softcall} metadata of an artifact. docs/task-artifact.md specifies it.
 *
 * @param written the metadata as it was written, for people to read. Parsing and writing it again would change numbers.
 * @param hasTypes whether the schema has types of prompts, and kinds of tasks
 * @param isKv whether the prompt is a KV prompt
 * @param kind the name of what the task does
 * @param fields all fields, of which {@link KindReader} reads those of the kind
 * @param prefixLayouts the digest of each {@code prefix.<variant>} tensor by its variant, not validated
 */
record Metadata(
        String written, boolean hasTypes, boolean isKv, KindName kind, JsonNode fields, JsonNode prefixLayouts) {

    /** What a task does. */
    enum KindName {
        CLASSIFICATION,
        MULTI_LABEL,
        GENERATION
    }

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
        KindName kind = kind(schema, text(metadata, "kind"));
        boolean hasTypes = schema != SCHEMA_OF_ONE_TYPE;
        boolean kv = hasTypes && isKv(metadata.path("prompt"));
        checkBase(metadata.path("base"), requirements);
        return new Metadata(written, hasTypes, kv, kind, metadata, metadata.path("prefix_layouts"));
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

    private static KindName kind(int schema, String kind) throws RefusedException {
        KindName known =
                switch (kind) {
                    case "classification" -> KindName.CLASSIFICATION;
                    case "multi_label" -> KindName.MULTI_LABEL;
                    case "generation" -> KindName.GENERATION;
                    default ->
                        throw new RefusedException(
                                "kind \"%s\" is not served, expected \"classification\", \"multi_label\" or \"generation\"",
                                kind);
                };
        if (schema == SCHEMA_OF_ONE_TYPE && known != KindName.CLASSIFICATION) {
            throw new RefusedException(
                    "kind \"%s\" in schema %d, expected schema %d", kind, SCHEMA_OF_ONE_TYPE, SCHEMA);
        }
        return known;
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

    static boolean isGiven(JsonNode node) {
        return !node.isMissingNode() && !node.isNull();
    }

    static String text(JsonNode node, String field) throws RefusedException {
        JsonNode value = node.path(field);
        if (!value.isTextual()) {
            throw new RefusedException("%s is %s, expected a text", field, value.isMissingNode() ? "missing" : value);
        }
        return value.textValue();
    }
}
