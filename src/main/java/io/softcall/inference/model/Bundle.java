package io.softcall.inference.model;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.softcall.Sha256;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The contents of a base bundle's {@code base.json}. docs/base-bundle.md specifies the format.
 *
 * @param fingerprint the fingerprint of the full-precision weights; prompts are bound to it
 * @param hiddenSize the width of embeddings and hidden rows
 * @param maxPositions the bound on the tokens of prompt and text together
 * @param served the variant that computes inputs
 * @param encoder the full-precision variant, which turns prompts into prefixes; empty if the bundle has none
 */
public record Bundle(
        String name,
        String architecture,
        String fingerprint,
        int hiddenSize,
        int layers,
        int kvHeads,
        int headDim,
        int maxPositions,
        Variant served,
        Optional<Variant> encoder,
        Path tokenizer) {

    public static final String FULL_PRECISION = "fp32";

    private static final String UNSCALED = "/unscaled";

    private static final int SCHEMA = 1;

    /**
     * One trunk of a bundle.
     *
     * @param files SHA-256 digests by name, of the graph and of the weights beside it
     * @param kvLayout a digest of everything that scales keys and values
     * @param golden a row that PyTorch computed with this variant's weights, with this variant's tolerance
     */
    public record Variant(String name, Path graph, SortedMap<String, String> files, String kvLayout, Golden golden) {}

    /**
     * A row that every correct runtime reproduces.
     *
     * @param promptEmbeds [prompt, hidden]
     * @param hidden [hidden]
     * @param tolerance the allowed difference, relative to the largest absolute value of {@code hidden}
     */
    @RegisterForReflection
    public record Golden(
            @JsonProperty("input_ids") long[] inputIds,
            @JsonProperty("prompt_embeds") float[][] promptEmbeds,
            @JsonProperty("hidden") float[] hidden,
            @JsonProperty("tolerance") double tolerance) {

        private Golden with(GoldenJson own) {
            return own == null ? this : new Golden(inputIds, promptEmbeds, own.hidden(), own.tolerance());
        }
    }

    /** The values of a variant of lower precision, which replace those of the bundle. */
    @RegisterForReflection
    private record GoldenJson(float[] hidden, double tolerance) {}

    @RegisterForReflection
    @JsonIgnoreProperties(ignoreUnknown = true)
    private record VariantJson(
            String graph,
            TreeMap<String, String> files,
            @JsonProperty("kv_layout") String kvLayout,
            GoldenJson golden) {}

    @RegisterForReflection
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
            Map<String, VariantJson> variants) {

        private Optional<Variant> variant(Path dir, String variant) {
            return Optional.ofNullable(variants.get(variant))
                    .map(found -> new Variant(
                            variant,
                            dir.resolve(found.graph()),
                            found.files(),
                            found.kvLayout(),
                            golden.with(found.golden())));
        }
    }

    /** Returns whether nothing scales the keys and values of the served variant, so that it can use those of a KV prompt. */
    public boolean isUnscaled() {
        return served.kvLayout().equals(Sha256.of((fingerprint + UNSCALED).getBytes(StandardCharsets.US_ASCII)));
    }

    public static Bundle open(Path dir, String variant) {
        return open(dir, List.of(variant));
    }

    /**
     * Reads a bundle.
     *
     * @param variants names of variants; the first one that the bundle has is served
     * @throws IllegalArgumentException if the folder is not a bundle that this server can read; the message says what to do
     */
    public static Bundle open(Path dir, List<String> variants) {
        Path file = dir.resolve("base.json");
        if (!Files.isRegularFile(file)) {
            throw new IllegalArgumentException(
                    "softcall.base.dir=%s holds no base.json; make a base bundle with `softcall base %s`"
                            .formatted(dir.toAbsolutePath(), dir));
        }
        Json json = read(file);
        Variant served = variants.stream()
                .flatMap(variant -> json.variant(dir, variant).stream())
                .findFirst()
                .orElseThrow(
                        () -> new IllegalArgumentException("softcall.base.variant=%s: the bundle %s has the variants %s"
                                .formatted(
                                        String.join(" or ", variants),
                                        dir,
                                        json.variants().keySet())));
        return new Bundle(
                json.name(),
                json.architecture(),
                json.fingerprint(),
                json.hiddenSize(),
                json.layers(),
                json.kvHeads(),
                json.headDim(),
                json.maxPositions(),
                served,
                json.variant(dir, FULL_PRECISION),
                dir.resolve("tokenizer.json"));
    }

    private static Json read(Path file) {
        try {
            JsonMapper mapper = new JsonMapper();
            JsonNode tree = mapper.readTree(file.toFile());
            if (tree.path("schema").asInt(-1) != SCHEMA) {
                throw new IllegalArgumentException(
                        "%s has schema %s, this server reads schema %d".formatted(file, tree.path("schema"), SCHEMA));
            }
            return mapper.treeToValue(tree, Json.class);
        } catch (IOException e) {
            throw new IllegalArgumentException("%s cannot be read: %s".formatted(file, e.getMessage()), e);
        }
    }
}
