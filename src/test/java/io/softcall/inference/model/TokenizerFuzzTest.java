package io.softcall.inference.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.softcall.FuzzTexts;
import io.softcall.Reasons;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.Tiny;
import io.softcall.task.RefusedException;
import io.softcall.task.Template;
import io.softcall.task.Template.Filled;
import io.softcall.task.Template.Span;
import java.util.List;
import java.util.Optional;

/** Any template with any texts becomes at most as many ids as are allowed, or the text is refused as too long. */
class TokenizerFuzzTest {

    private static final Tokenizer TOKENIZER = new Tokenizer(Tiny.BASE.resolve("tokenizer.json"));

    /** @param input the largest number of tokens (a character), a template, and its texts */
    @FuzzTest
    void encode(byte[] input) {
        List<String> fields = FuzzTexts.of(input);
        int limit = fields.getFirst().isEmpty() ? 16 : fields.getFirst().charAt(0) % 128;
        Template template;
        try {
            template = new Template(fields.size() < 2 ? "{text}" : fields.get(1));
        } catch (RefusedException e) {
            Reasons.printable(e.getMessage());
            return;
        }
        List<String> texts = fields.stream().skip(2).limit(2).toList();
        if (texts.size() != template.fields()) {
            return;
        }
        assertSpansHoldTheTexts(template, texts);
        Optional<long[]> cut = encode(template, texts, limit, true);
        // With another template, a token across the border of a text belongs to the template and cannot be cut.
        assertTrue(cut.isPresent() || !template.toString().equals("{text}"), "a text alone can be cut");
        assertTrue(cut.map(ids -> ids.length).orElse(0) <= limit);
        // A text that fits is not cut.
        encode(template, texts, limit, false).ifPresent(whole -> assertArrayEquals(whole, cut.orElseThrow()));
    }

    private static void assertSpansHoldTheTexts(Template template, List<String> texts) {
        Filled filled = template.fill(texts);
        assertTrue(FuzzTexts.isUnicode(filled.text()));
        for (int place = 0; place < texts.size(); place++) {
            Span span = filled.spans().get(place);
            String held = filled.text()
                    .substring(
                            filled.text().offsetByCodePoints(0, span.start()),
                            filled.text().offsetByCodePoints(0, span.end()));
            String text = texts.get(template.textAt(place));
            assertEquals(text.codePointCount(0, text.length()), held.codePointCount(0, held.length()));
            if (FuzzTexts.isUnicode(text)) {
                assertEquals(text, held);
            }
        }
    }

    private static Optional<long[]> encode(Template template, List<String> texts, int limit, boolean truncate) {
        try {
            return Optional.of(TOKENIZER.encode(template, texts, limit, truncate));
        } catch (SoftcallException e) {
            assertEquals(Reason.TEXT_TOO_LONG, e.reason());
            Reasons.ofTheSender(e);
            return Optional.empty();
        }
    }
}
