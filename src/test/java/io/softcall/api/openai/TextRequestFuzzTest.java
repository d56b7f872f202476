package io.softcall.api.openai;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.DictionaryFile;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.softcall.Allocation;
import io.softcall.FuzzTexts;
import io.softcall.Reasons;
import io.softcall.inference.generation.GenerationRequest;
import io.softcall.inference.generation.GenerationRequest.Options;
import io.softcall.inference.generation.GenerationRequest.Source;
import java.io.IOException;

/** Any request for text is refused with a reason, or all of its values are in their ranges. */
class TextRequestFuzzTest {

    private static final RequestBounds BOUNDS = new RequestBounds(16, 1_000, 300);
    private static final int BYTES_EACH = 300;
    private static final int BYTES_ALWAYS = 16 << 20;

    @DictionaryFile(resourcePath = FuzzTexts.JSON_WORDS)
    @FuzzTest
    void parse(byte[] body) throws IOException {
        long bytes = BYTES_ALWAYS + (long) BYTES_EACH * body.length;
        Allocation.within(bytes, () -> Reasons.unlessRefused(() -> CompletionFields.parse(body, BOUNDS)))
                .ifPresent(TextRequestFuzzTest::check);
        Allocation.within(bytes, () -> Reasons.unlessRefused(() -> ChatFields.parse(body, BOUNDS)))
                .ifPresent(TextRequestFuzzTest::check);
    }

    private static void check(TextRequest request) {
        GenerationRequest generation = request.generation();
        assertTrue(request.answers() >= 1 && request.answers() <= BOUNDS.texts());
        generation.sources().forEach(TextRequestFuzzTest::check);
        Options options = generation.options();
        assertTrue(options.maxTokens().orElse(1) >= 1);
        assertTrue(options.minTokens() >= 0
                && options.minTokens() <= options.maxTokens().orElse(Integer.MAX_VALUE));
        assertTrue(isWithin(options.temperature().orElse(1), 0, 2));
        assertTrue(isWithin(options.topP().orElse(1), Double.MIN_VALUE, 1));
        assertTrue(options.topK() >= 0);
        assertTrue(isWithin(options.minP(), 0, 1));
        assertTrue(isWithin(options.repetitionPenalty(), Double.MIN_VALUE, 2));
        assertTrue(isWithin(options.presencePenalty(), -2, 2));
        assertTrue(isWithin(options.frequencyPenalty(), -2, 2));
        options.logitBias().forEach((id, bias) -> {
            assertTrue(id >= 0 && id < BOUNDS.vocabulary());
            assertTrue(isWithin(bias, -100, 100));
        });
        assertTrue(isWithin(options.topLogprobs().orElse(0), 0, 20));
    }

    private static void check(Source source) {
        switch (source) {
            case Source.Text text -> assertTrue(text.text().length() <= BOUNDS.characters());
            case Source.Ids ids -> {
                assertTrue(ids.ids().length >= 1);
                for (long id : ids.ids()) {
                    assertTrue(id >= 0 && id < BOUNDS.vocabulary());
                }
            }
            case Source.Chat chat -> assertTrue(chat.messages().size() >= 1);
        }
    }

    private static boolean isWithin(double value, double least, double most) {
        return value >= least && value <= most;
    }
}
