package io.softcall.inference;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * What {@code base.json} says of a base bundle. Contract: docs/base-bundle.md.
 *
 * @param fingerprint of the full-precision weights; prompts are bound to it
 * @param hiddenSize width of embeddings and hidden rows
 * @param maxPositions prompt and text together
 * @param golden a row computed by PyTorch
 * @param graph the trunk of the variant that is served
 */
record Bundle(
        String name,
        String architecture,
        String fingerprint,
        int hiddenSize,
        int layers,
        int kvHeads,
        int headDim,
        int maxPositions,
        Golden golden,
        String variant,
        Path graph,
        Path tokenizer) {

    private static final int SCHEMA = 1;

    /**
     * One row that every correct runtime reproduces.
     *
     * @param promptEmbeds [prompt, hidden]
     * @param hidden [hidden]
     * @param tolerance allowed difference, relative to the largest absolute value of {@code hidden}
     */
    record Golden(
            @JsonProperty("input_ids") long[] inputIds,
            @JsonProperty("prompt_embeds") float[][] promptEmbeds,
            @JsonProperty("hidden") float[] hidden,
            @JsonProperty("tolerance") double tolerance) {}

    @JsonIgnoreProperties(ignoreUnknown = true)
    private record Variant(String graph) {}

    @JsonIgnoreProperties(ignoreUnknown = true)
    private record Json(
            int schema,
            String name,
            String architecture,
            String fingerprint,
            @JsonProperty("hidden_size") int hiddenSize,
            @JsonProperty("num_hidden_layers") int layers,
            @JsonProperty("num_key_value_heads") int kvHeads,
            @JsonProperty("head_dim") int headDim,
            @JsonProperty("max_position_embeddings") int maxPositions,
            Golden golden,
            Map<String, Variant> variants) {}

    /** @throws IllegalArgumentException when the folder is no bundle that this server reads; the message says what to do */
    static Bundle open(Path dir, String variant) {
        Path file = dir.resolve("base.json");
        if (!Files.isRegularFile(file)) {
            throw new IllegalArgumentException(
                    "softcall.base.dir=%s holds no base.json; make a base bundle with `softcall base %s`"
                            .formatted(dir.toAbsolutePath(), dir));
        }
        Json json;
        try {
            JsonMapper mapper = new JsonMapper();
            JsonNode tree = mapper.readTree(file.toFile());
            if (tree.path("schema").asInt(-1) != SCHEMA) {
                throw new IllegalArgumentException(
                        "%s has schema %s, this server reads schema %d".formatted(file, tree.path("schema"), SCHEMA));
            }
            json = mapper.treeToValue(tree, Json.class);
        } catch (IOException e) {
            throw new IllegalArgumentException("%s cannot be read: %s".formatted(file, e.getMessage()), e);
        }
        Variant chosen = json.variants().get(variant);
        if (chosen == null) {
            throw new IllegalArgumentException("softcall.base.variant=%s: the bundle %s has the variants %s"
                    .formatted(variant, dir, json.variants().keySet()));
        }
        return new Bundle(
                json.name(),
                json.architecture(),
                json.fingerprint(),
                json.hiddenSize(),
                json.layers(),
                json.kvHeads(),
                json.headDim(),
                json.maxPositions(),
                json.golden(),
                variant,
                dir.resolve(chosen.graph()),
                dir.resolve("tokenizer.json"));
    }
}
