package io.softcall.task.artifact;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.task.KvPrompt;
import io.softcall.task.PrefixLayout;
import io.softcall.task.Prompt;
import io.softcall.task.ReadyPrefix;
import io.softcall.task.RefusedException;
import io.softcall.task.Requirements;
import io.softcall.task.SoftPrompt;
import io.softcall.task.artifact.Safetensors.Tensor;
import java.util.List;
import java.util.Optional;

/**
 * Reads the prompt of an artifact, and refuses one that does not fit the served base. Nothing of a prompt keeps the artifact in
 * memory: its values are copied once.
 */
final class PromptReader {

    private static final String NAME = "prompt_embeddings";

    private final Requirements requirements;

    PromptReader(Requirements requirements) {
        this.requirements = requirements;
    }

    /** @throws RefusedException if the prompt cannot be served; the message names the tensor */
    Prompt read(Safetensors file, Metadata metadata) throws RefusedException {
        Tensor tensor = file.require(NAME);
        if (metadata.isKv()) {
            return kv(tensor);
        }
        int hidden = requirements.hidden();
        int tokens = tokens(tensor, hidden, "", kvWidth(tensor));
        return new SoftPrompt(
                tokens, hidden, file.floats(NAME, tokens, hidden), readyPrefix(file, metadata.prefixLayouts(), tokens));
    }

    /** Refuses multitask prompt tuning. Its prompt has the right name and shape, but no meaning without its task's rows. */
    static void refuseOtherMethods(Safetensors file) throws RefusedException {
        for (String tensor : List.of("prefix_task_cols", "prefix_task_rows")) {
            if (file.tensor(tensor).isPresent()) {
                throw new RefusedException(
                        "tensor %s belongs to peft_type MULTITASK_PROMPT_TUNING, expected PROMPT_TUNING", tensor);
            }
        }
    }

    private Prompt kv(Tensor tensor) throws RefusedException {
        PrefixLayout layout = requirements.prefix();
        int width = layout.numbersOfAToken();
        int tokens = tokens(
                tensor,
                width,
                " of a KV prompt (layers %d * 2 * kv_heads %d * head_dim %d)"
                        .formatted(layout.layers(), layout.kvHeads(), layout.headDim()),
                otherWidth(tensor));
        if (!layout.unscaled()) {
            throw new RefusedException(
                    "it has a KV prompt, whose keys and values are unscaled, but this server's variant %s scales them:"
                            + " expected a soft prompt, or a server of another variant",
                    layout.variant());
        }
        Rows rows = new Rows(tokens, width / layout.headDim(), layout.headDim());
        return new KvPrompt(new ReadyPrefix(tokens, tensor.finiteValues(rows::transpose, rows::stored)));
    }

    /**
     * The rows of a KV prompt, [tokens, heads, head_dim], where {@code heads} counts those of the keys and values of all layers.
     * The prefix is [heads, tokens, head_dim]. A head's numbers stay adjacent, so they are copied at once. The copies are
     * written one after the other, because a processor waits for scattered writes longer than for scattered reads.
     */
    private record Rows(int tokens, int heads, int headDim) {

        void transpose(Tensor.Run run) {
            for (int head = 0; head < heads; head++) {
                for (int token = 0; token < tokens; token++) {
                    run.copy((token * heads + head) * headDim, (head * tokens + token) * headDim, headDim);
                }
            }
        }

        /** Returns the index in the artifact of an element of the prefix. */
        int stored(int element) {
            int head = element / (tokens * headDim);
            int token = element / headDim % tokens;
            return (token * heads + head) * headDim + element % headDim;
        }
    }

    /**
     * Returns the number of tokens of a prompt, after checking its shape.
     *
     * @param width the expected numbers of a token
     * @param of what the width belongs to, for the message
     * @param found what the found width would fit, for the message; empty if it is unknown
     */
    private int tokens(Tensor tensor, int width, String of, String found) throws RefusedException {
        if (tensor.shape().size() != 2 || tensor.shape().getLast() != width) {
            throw new RefusedException(
                    "tensor %s has shape %s, expected [tokens, %d]%s%s", NAME, tensor.shape(), width, of, found);
        }
        long tokens = tensor.shape().getFirst();
        if (tokens < 1 || tokens > requirements.maxPromptTokens()) {
            throw new RefusedException(
                    "tensor %s has %d tokens, expected 1 to %d (softcall.limits.prompt-tokens)",
                    NAME, tokens, requirements.maxPromptTokens());
        }
        if (tokens >= requirements.maxPositions()) {
            throw new RefusedException(
                    "tensor %s has %d tokens, which leave no position for a text: the base %s has %d",
                    NAME, tokens, requirements.baseName(), requirements.maxPositions());
        }
        return (int) tokens;
    }

    /** Describes a tensor that has the width of a KV prompt; empty for others. */
    private String kvWidth(Tensor tensor) {
        boolean fits = tensor.shape().size() == 2
                && tensor.shape().getLast() == requirements.prefix().numbersOfAToken();
        return fits ? "; this is the width of a KV prompt, whose metadata says \"prompt\": \"kv\"" : "";
    }

    /** Describes a tensor that has the width of another KV prompt, or of a soft prompt; empty if the width is unknown. */
    private String otherWidth(Tensor tensor) {
        if (tensor.shape().size() != 2) {
            return "";
        }
        PrefixLayout layout = requirements.prefix();
        long width = tensor.shape().getLast();
        long ofAHead = 2L * layout.layers() * layout.headDim();
        long ofALayer = 2L * layout.kvHeads() * layout.headDim();
        if (width == requirements.hidden()) {
            return "; this is the width of a soft prompt, whose metadata says \"prompt\": \"soft\"";
        }
        if (width > 0 && width % ofAHead == 0) {
            return "; it has %d kv_heads, as an adapter of %s has"
                    .formatted(
                            width / ofAHead,
                            width / ofAHead > layout.kvHeads()
                                    ? "a model without grouped-query attention"
                                    : "another base");
        }
        if (width > 0 && width % ofALayer == 0) {
            return "; it has %d layers, as an adapter of another base has".formatted(width / ofALayer);
        }
        return "";
    }

    /**
     * Returns the ready prefix of a soft prompt; empty if there is none for the served variant, or if its keys and values are
     * scaled differently.
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
        tensor.requireShape(layout.layers(), 2, layout.kvHeads(), tokens, layout.headDim());
        if (!tensor.dtype().equals("F16")) {
            throw new RefusedException("tensor %s has type %s, expected F16", name, tensor.dtype());
        }
        return Optional.of(new ReadyPrefix(tokens, tensor.finiteValues()));
    }
}
