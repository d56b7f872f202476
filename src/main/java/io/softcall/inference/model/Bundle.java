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
 * @param vocabulary the number of token ids
 * @param maxPositions the bound on the tokens of prompt and text together
 * @param eosTokenIds the tokens that end a text
 * @param chatTemplate how chats become text; empty if the base has no such template
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
        int vocabulary,
        int maxPositions,
        List<Integer> eosTokenIds,
        Optional<ChatTemplateFile> chatTemplate,
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
     * @param decoding the graphs that write text; empty if the variant has none
     */
    public record Variant(
            String name,
            Path graph,
            SortedMap<String, String> files,
            String kvLayout,
            Golden golden,
            Optional<DecodingGraphs> decoding) {}

    /**
     * The graphs that write text, one token at a time.
     *
     * @param decode from a token and the keys and values before it to a hidden row
     * @param lmHead from a hidden row to the logits of the vocabulary
     * @param golden logits that PyTorch computed behind the golden row
     */
    public record DecodingGraphs(Path decode, Path lmHead, GoldenLogits golden) {}

    /**
     * Logits that every correct runtime reproduces.
     *
     * @param ids the tokens with the largest ones
     * @param logits their logits
     * @param tolerance the allowed difference, relative to the largest absolute value of {@code logits}; no other logit
     *     exceeds the smallest of these by more
     */
    @RegisterForReflection
    public record GoldenLogits(int[] ids, float[] logits, double tolerance) {

        /**
         * @param computed the logits that a graph computes, [vocabulary]
         * @throws IllegalStateException if they differ from {@link #logits} by more than the tolerance
         */
        public void requireLogits(float[] computed, String graph) {
            float[] same = new float[ids.length];
            for (int i = 0; i < same.length; i++) {
                same[i] = computed[ids[i]];
            }
            requireNear(same, logits, tolerance, graph, "logits");
            float smallest = logits[0];
            float scale = 0;
            for (float logit : logits) {
                smallest = Math.min(smallest, logit);
                scale = Math.max(scale, Math.abs(logit));
            }
            for (int id = 0; id < computed.length; id++) {
                if (computed[id] - smallest > tolerance * scale && !contains(id)) {
                    throw new IllegalStateException(
                            "the graph %s computes the logit %.3g of token %d, and at most %.3g is allowed: the weights are damaged, or ONNX Runtime computes wrongly on this processor"
                                    .formatted(graph, computed[id], id, smallest + tolerance * scale));
                }
            }
        }

        private boolean contains(int id) {
            for (int known : ids) {
                if (known == id) {
                    return true;
                }
            }
            return false;
        }
    }

    /**
     * The Jinja template of the base's chats.
     *
     * @param bosToken the text of the token that begins a text; empty if there is none
     * @param eosToken likewise for its end
     */
    public record ChatTemplateFile(Path file, Optional<String> bosToken, Optional<String> eosToken) {}

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

        /**
         * @param computed the hidden row that a graph computes
         * @throws IllegalStateException if it differs from {@link #hidden} by more than the tolerance
         */
        public void requireHidden(float[] computed, String graph) {
            requireNear(computed, hidden, tolerance, graph, "a hidden row");
        }

        private Golden with(GoldenJson own) {
            return own == null ? this : new Golden(inputIds, promptEmbeds, own.hidden(), own.tolerance());
        }
    }

    private static void requireNear(float[] computed, float[] golden, double tolerance, String graph, String what) {
        double scale = 0;
        double difference = 0;
        for (int i = 0; i < computed.length; i++) {
            scale = Math.max(scale, Math.abs(golden[i]));
            // Math.max is not used, so that a NaN is kept and fails the check.
            double here = Math.abs((double) computed[i] - golden[i]);
            difference = here <= difference ? difference : here;
        }
        if (!(difference <= tolerance * scale)) {
            throw new IllegalStateException(
                    "the graph %s computes %s, which differ from the golden values by %.3g, and at most %.3g is allowed:"
                                    .formatted(graph, what, difference, tolerance * scale)
                            + " the weights are damaged, or ONNX Runtime computes wrongly on this processor");
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
            GoldenJson golden,
            GenerationJson generation) {}

    @RegisterForReflection
    @JsonIgnoreProperties(ignoreUnknown = true)
    private record GenerationJson(
            String decode, @JsonProperty("lm_head") String lmHead, GoldenLogits golden) {

        private DecodingGraphs in(Path dir) {
            return new DecodingGraphs(dir.resolve(decode), dir.resolve(lmHead), golden);
        }
    }

    @RegisterForReflection
    @JsonIgnoreProperties(ignoreUnknown = true)
    private record ChatTemplateJson(
            String file,
            @JsonProperty("bos_token") String bosToken,
            @JsonProperty("eos_token") String eosToken) {

        private ChatTemplateFile in(Path dir) {
            return new ChatTemplateFile(
                    dir.resolve(file), Optional.ofNullable(bosToken), Optional.ofNullable(eosToken));
        }
    }

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
            @JsonProperty("vocab_size") int vocabulary,
            @JsonProperty("max_position_embeddings") int maxPositions,
            @JsonProperty("eos_token_id") Integer eosTokenId,
            @JsonProperty("eos_token_ids") List<Integer> eosTokenIds,
            @JsonProperty("chat_template") ChatTemplateJson chatTemplate,
            Golden golden,
            Map<String, VariantJson> variants) {

        private List<Integer> ends() {
            List<Integer> one = eosTokenId == null ? List.of() : List.of(eosTokenId);
            return eosTokenIds == null ? one : eosTokenIds;
        }

        private Optional<Variant> variant(Path dir, String variant) {
            return Optional.ofNullable(variants.get(variant))
                    .map(found -> new Variant(
                            variant,
                            dir.resolve(found.graph()),
                            found.files(),
                            found.kvLayout(),
                            golden.with(found.golden()),
                            Optional.ofNullable(found.generation()).map(graphs -> graphs.in(dir))));
        }
    }

    /** Returns the bytes that the keys and values of a token take in all layers, as numbers of 32 bits. */
    public long kvBytesOfAToken() {
        return 2L * layers * kvHeads * headDim * Float.BYTES;
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
                json.vocabulary(),
                json.maxPositions(),
                json.ends(),
                Optional.ofNullable(json.chatTemplate()).map(template -> template.in(dir)),
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
