package io.softcall.task;

import io.softcall.SoftcallException;
import io.softcall.Surrogates;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The text around an input. It contains {@code {text}} once, or {@code {text1}} and {@code {text2}} once each. Nothing else has
 * a special meaning.
 */
public final class Template {

    private static final Pattern FIELD = Pattern.compile("\\{(text[12]?)}");

    /** The text alone. */
    public static final Template OF_TEXT = ofText();

    private static Template ofText() {
        try {
            return new Template("{text}");
        } catch (RefusedException e) {
            throw new IllegalStateException(e);
        }
    }

    private final String source;
    private final List<String> literals = new ArrayList<>();
    private final List<Integer> order = new ArrayList<>();

    /** @throws RefusedException if the fields are not as described above */
    public Template(String source) throws RefusedException {
        this.source = source;
        List<String> fields = new ArrayList<>();
        Matcher matcher = FIELD.matcher(source);
        int end = 0;
        while (matcher.find()) {
            literals.add(Surrogates.replaced(source.substring(end, matcher.start())));
            fields.add(matcher.group(1));
            order.add(matcher.group(1).equals("text2") ? 1 : 0);
            end = matcher.end();
        }
        literals.add(Surrogates.replaced(source.substring(end)));
        List<String> sorted = fields.stream().sorted().toList();
        if (!sorted.equals(List.of("text")) && !sorted.equals(List.of("text1", "text2"))) {
            throw new RefusedException(
                    "template \"%s\" has the fields %s, expected {text} once, or {text1} and {text2} once each",
                    source, fields);
        }
    }

    /** Estimates the bytes that this takes on the Java heap: it keeps its source and its parts. */
    long heapBytes() {
        return 2L * Character.BYTES * source.length();
    }

    /** Returns the number of texts of one input: 1, or 2 for a task on pairs. */
    public int fields() {
        return order.size();
    }

    /** The place of an inserted text: code points [start, end) of {@link Filled#text()}. */
    public record Span(int start, int end) {}

    /**
     * The template with its texts, as valid Unicode. U+FFFD replaces each half of a surrogate pair, which a cut in the wrong
     * place leaves, so that it cannot join another half.
     *
     * @param spans the place of each text, in the order in which the template names them
     */
    public record Filled(String text, List<Span> spans) {}

    /**
     * Inserts texts in one pass, so a text may itself contain <code>{text}</code>.
     *
     * @param texts {@link #fields()} texts, {@code text1} first
     * @throws SoftcallException {@code INVALID_REQUEST} if there are more or fewer texts
     */
    public Filled fill(List<String> texts) {
        if (texts.size() != fields()) {
            throw SoftcallException.invalid(
                    fields() == 1
                            ? "this task classifies single texts, the input has a pair"
                            : "this task classifies pairs: each item of input must be [text1, text2]");
        }
        StringBuilder filled = new StringBuilder();
        List<Span> spans = new ArrayList<>();
        int codePoints = 0;
        for (int i = 0; i < order.size(); i++) {
            String literal = literals.get(i);
            String text = Surrogates.replaced(texts.get(order.get(i)));
            filled.append(literal).append(text);
            int start = codePoints + literal.codePointCount(0, literal.length());
            codePoints = start + text.codePointCount(0, text.length());
            spans.add(new Span(start, codePoints));
        }
        return new Filled(filled.append(literals.getLast()).toString(), List.copyOf(spans));
    }

    /** Returns the index of the text at a place, which is an index into {@link Filled#spans()}. */
    public int textAt(int place) {
        return order.get(place);
    }

    @Override
    public String toString() {
        return source;
    }
}
