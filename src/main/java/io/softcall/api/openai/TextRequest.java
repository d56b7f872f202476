package io.softcall.api.openai;

import io.softcall.inference.generation.GenerationRequest;
import java.util.Optional;

/**
 * A validated request for text.
 *
 * @param generation what is to be written
 * @param form how the answer is written
 * @param streaming how the answer is streamed; empty: it is sent as a whole
 * @param id the caller's id of this request
 */
record TextRequest(GenerationRequest generation, AnswerForm form, Optional<Streaming> streaming, Optional<String> id) {

    /** @param usage whether the last event tells the numbers of tokens */
    record Streaming(boolean usage) {}

    /** Returns the number of answers. */
    int answers() {
        return generation.answers();
    }
}
