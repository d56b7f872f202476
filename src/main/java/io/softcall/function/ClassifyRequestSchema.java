package io.softcall.function;

import com.fasterxml.jackson.annotation.JsonProperty;
import org.eclipse.microprofile.openapi.annotations.enums.SchemaType;
import org.eclipse.microprofile.openapi.annotations.media.Schema;

/** The shape of a request, for OpenAPI only: {@link ClassifyRequest} reads it, with messages of its own. */
@Schema(name = "ClassifyRequest")
record ClassifyRequestSchema(
        @Schema(required = true, description = "the task", examples = "banking77")
        String model,

        @Schema(
                required = true,
                description = "a text, a list of texts, or a list of pairs [text1, text2]",
                oneOf = {String.class, String[].class, String[][].class})
        Object input,

        @Schema(description = "name every label's probability", defaultValue = "false")
        boolean scores,

        @Schema(description = "return the label logits", defaultValue = "false")
        boolean logits,

        @Schema(
                type = SchemaType.INTEGER,
                description = "cut texts to this many tokens, template included; -1: to as many as are accepted")
        @JsonProperty("truncate_prompt_tokens")
        Integer truncatePromptTokens,

        @Schema(
                description = "the end at which texts are cut; left is refused where they are",
                enumeration = {"right", "left"})
        @JsonProperty("truncation_side")
        String truncationSide,

        @Schema(
                description = "false: probs are the logits; activation and softmax are older names",
                defaultValue = "true")
        @JsonProperty("use_activation")
        boolean useActivation,

        @Schema(description = "true is refused: texts have none", defaultValue = "false")
        @JsonProperty("add_special_tokens")
        boolean addSpecialTokens,

        @Schema(description = "comes back in the id of the answer", minLength = 1, maxLength = 200)
        @JsonProperty("request_id")
        String requestId,

        @Schema(description = "ignored, as are priority, cache_salt, padding and mm_processor_kwargs")
        String user) {}
