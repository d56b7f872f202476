package io.softcall.inference;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Tokenizer;
import io.softcall.task.Task;
import java.util.List;
import java.util.OptionalInt;

/** The limits of a request: inputs, characters and tokens. */
public final class InputLimits {

    private final InferenceConfig.Limits limits;
    private final Tokenizer tokenizer;
    private final int maxPositions;

    public InputLimits(InferenceConfig.Limits limits, Tokenizer tokenizer, Model model) {
        this.limits = limits;
        this.tokenizer = tokenizer;
        this.maxPositions = model.bundle().maxPositions();
    }

    /** @throws SoftcallException {@code INVALID_REQUEST} or {@code TEXT_TOO_LONG}, naming the input */
    void check(ClassificationRequest request) {
        List<List<String>> inputs = request.inputs();
        if (inputs.isEmpty() || inputs.size() > limits.texts()) {
            throw SoftcallException.invalid(
                    "input has %d texts, expected 1 to %d (softcall.limits.texts)", inputs.size(), limits.texts());
        }
        for (int i = 0; i < inputs.size(); i++) {
            check("input[" + i + "]", inputs.get(i));
        }
    }

    /**
     * Checks the texts of one input.
     *
     * @param name the name of the input in error messages
     */
    public void check(String name, List<String> texts) {
        for (String text : texts) {
            if (text.isBlank()) {
                throw SoftcallException.invalid("%s has an empty text", name);
            }
            if (text.length() > limits.characters()) {
                throw new SoftcallException(
                        Reason.TEXT_TOO_LONG,
                        "%s has %d characters, at most %d are accepted (softcall.limits.characters)"
                                .formatted(name, text.length(), limits.characters()));
            }
        }
    }

    /**
     * Returns how many tokens one input of a task may have with its template.
     *
     * @param truncateTokens as in {@link ClassificationRequest}
     * @throws SoftcallException {@code ARTIFACT_REFUSED} if the template leaves no token for a text
     */
    int tokens(Task task, OptionalInt truncateTokens) {
        int most = Math.min(limits.tokens(), maxPositions - task.promptTokens());
        int own = tokenizer.tokens(task.classification().template());
        if (own >= most) {
            throw new SoftcallException(
                    Reason.ARTIFACT_REFUSED,
                    "task \"%s\", version %s, is refused: its template alone has %d tokens, and at most %d are accepted with"
                                    .formatted(task.name(), task.version(), own, most)
                            + " a text (softcall.limits.tokens, and the base's positions behind the prompt)");
        }
        return Math.min(most, truncateTokens.orElse(Integer.MAX_VALUE));
    }
}
