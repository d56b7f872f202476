package io.softcall.inference.model;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.CharSpan;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.task.Template;
import io.softcall.task.Template.Filled;
import io.softcall.task.Template.Span;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;

/**
 * Turns text into token ids with the base's {@code tokenizer.json}. Never adds special tokens. docs/task-artifact.md has the
 * rules.
 */
public final class Tokenizer implements AutoCloseable {

    static {
        configureLibrary();
    }

    /** Sets what DJL reads when its first class is loaded. */
    static void configureLibrary() {
        // These must be set before DJL's first class is loaded. By default DJL reports its use, and may load native
        // libraries from the network.
        System.setProperty("ai.djl.offline", "true");
        System.setProperty("OPT_OUT_TRACKING", "true");
        // DJL looks for GPUs through JNA, which would unpack a native library. Without that library DJL uses the
        // tokenizer that is present.
        System.setProperty("jna.noclasspath", "true");
    }

    private final Path file;
    private final HuggingFaceTokenizer tokenizer;
    /** Null until it is needed. */
    private Vocabulary vocabulary;
    /** The token counts of templates with empty texts. Weak keys drop the templates of tasks that are no longer used. */
    private final Map<Template, Integer> templates = Collections.synchronizedMap(new WeakHashMap<>());

    /** @throws IllegalArgumentException if the file cannot be read */
    public Tokenizer(Path file) {
        this.file = file;
        try {
            this.tokenizer = HuggingFaceTokenizer.builder()
                    .optTokenizerPath(file)
                    .optAddSpecialTokens(false)
                    .optTruncation(false)
                    .optPadding(false)
                    .build();
        } catch (IOException | RuntimeException e) {
            throw new IllegalArgumentException(
                    "the tokenizer %s cannot be read: %s".formatted(file, e.getMessage()), e);
        }
    }

    /** Returns the token ids of a text without a template. */
    public long[] encode(String text) {
        return encode(tokenizer, text);
    }

    static long[] encode(HuggingFaceTokenizer tokenizer, String text) {
        // tokenizer.encode would also copy each token's string and six other things, a quarter of its time.
        long encoding = TokenizersLibrary.LIB.encode(tokenizer.getHandle(), text, false);
        try {
            return TokenizersLibrary.LIB.getTokenIds(encoding);
        } finally {
            TokenizersLibrary.LIB.deleteEncoding(encoding);
        }
    }

    /** Returns the text of token ids, without special tokens. Bytes that are no whole character become U+FFFD. */
    public String decode(long... ids) {
        return TokenizersLibrary.LIB.decode(tokenizer.getHandle(), ids, true);
    }

    /** Returns the base's tokens, special ones too. They are read at the first call. */
    public synchronized Vocabulary vocabulary() {
        if (vocabulary == null) {
            vocabulary = Vocabulary.read(file);
        }
        return vocabulary;
    }

    /** Returns how many tokens a template has with empty texts. Each template is tokenized once. */
    public int tokens(Template template) {
        Integer known = templates.get(template);
        if (known != null) {
            return known;
        }
        String filled =
                template.fill(Collections.nCopies(template.fields(), "")).text();
        int tokens = encode(filled).length;
        templates.put(template, tokens);
        return tokens;
    }

    /**
     * Returns the token ids of a filled template.
     *
     * @param limit the largest number of tokens
     * @param truncate whether to cut the texts, never the template, to {@code limit} tokens
     * @throws SoftcallException {@code TEXT_TOO_LONG} if there are more tokens and cutting is not allowed, or cannot remove
     *     enough
     */
    public long[] encode(Template template, List<String> texts, int limit, boolean truncate) {
        List<String> cut = texts;
        while (true) {
            Filled filled = template.fill(cut);
            // tokenizer.encode would also copy each token's string and six other things, a quarter of its time.
            long encoding = TokenizersLibrary.LIB.encode(tokenizer.getHandle(), filled.text(), false);
            try {
                long[] ids = TokenizersLibrary.LIB.getTokenIds(encoding);
                if (ids.length <= limit) {
                    return ids;
                }
                if (!truncate) {
                    throw new SoftcallException(
                            Reason.TEXT_TOO_LONG,
                            "the text has %d tokens with its template, at most %d are accepted; set truncate_prompt_tokens to cut it"
                                    .formatted(ids.length, limit));
                }
                CharSpan[] tokens = TokenizersLibrary.LIB.getTokenCharSpans(encoding);
                cut = cut(template, cut, filled, tokens, ids.length - limit, limit);
            } finally {
                TokenizersLibrary.LIB.deleteEncoding(encoding);
            }
        }
    }

    private static List<String> cut(
            Template template, List<String> texts, Filled filled, CharSpan[] tokens, int excess, int limit) {
        int places = filled.spans().size();
        List<List<CharSpan>> inside = new ArrayList<>();
        for (Span span : filled.spans()) {
            inside.add(Arrays.stream(tokens)
                    .filter(token -> token.getStart() < token.getEnd()
                            && token.getStart() >= span.start()
                            && token.getEnd() <= span.end())
                    .toList());
        }
        int[] keep = inside.stream().mapToInt(List::size).toArray();
        for (int i = 0; i < excess; i++) {
            int longest = 0;
            for (int place = 1; place < places; place++) {
                longest = keep[place] >= keep[longest] ? place : longest;
            }
            if (keep[longest] == 0) {
                throw new SoftcallException(
                        Reason.TEXT_TOO_LONG,
                        "the task's template alone has more than the %d tokens to which the text should be cut"
                                .formatted(limit));
            }
            keep[longest]--;
        }
        List<String> result = new ArrayList<>(texts);
        for (int place = 0; place < places; place++) {
            List<CharSpan> own = inside.get(place);
            if (keep[place] < own.size()) {
                int codePoints = own.get(keep[place]).getStart()
                        - filled.spans().get(place).start();
                String text = texts.get(template.textAt(place));
                result.set(template.textAt(place), text.substring(0, text.offsetByCodePoints(0, codePoints)));
            }
        }
        return result;
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
