package io.softcall.task;

import io.softcall.SoftcallException;
import io.softcall.Surrogates;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The words around a text. Holds {@code {text}} once, or {@code {text1}} and {@code {text2}} once each; nothing else is
 * special.
 */
public final class Template {

    private static final char REPLACEMENT = '\ufffd';

    private static final Pattern FIELD = Pattern.compile("\\{(text[12]?)}");

    private final String source;
    private final List<String> literals = new ArrayList<>();
    private final List<Integer> order = new ArrayList<>();

    /** @throws RefusedException when the fields are not as described */
    public Template(String source) throws RefusedException {
        this.source = source;
        List<String> fields = new ArrayList<>();
        Matcher matcher = FIELD.matcher(source);
        int end = 0;
        while (matcher.find()) {
            literals.add(withoutHalves(source.substring(end, matcher.start())));
            fields.add(matcher.group(1));
            order.add(matcher.group(1).equals("text2") ? 1 : 0);
            end = matcher.end();
        }
        literals.add(withoutHalves(source.substring(end)));
        List<String> sorted = fields.stream().sorted().toList();
        if (!sorted.equals(List.of("text")) && !sorted.equals(List.of("text1", "text2"))) {
            throw new RefusedException(
                    "template \"%s\" has the fields %s, expected {text} once, or {text1} and {text2} once each",
                    source, fields);
        }
    }

    /** How many texts one row has: 1, or 2 for a task on pairs. */
    public int fields() {
        return order.size();
    }

    /** A text that was put in: code points [start, end) of {@link Filled#text()}. */
    public record Span(int start, int end) {}

    /**
     * The template with its texts, in Unicode: half of a surrogate pair, which a cut in the wrong place leaves, is
     * U+FFFD, and joins no other half.
     *
     * @param spans where each text lies, in the order in which the template names them
     */
    public record Filled(String text, List<Span> spans) {}

    /**
     * Puts texts in, in one pass: a text may itself contain <code>{text}</code>.
     *
     * @param texts {@link #fields()} texts, {@code text1} first
     * @throws SoftcallException {@code INVALID_REQUEST} when their number is another
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
            String text = withoutHalves(texts.get(order.get(i)));
            filled.append(literal).append(text);
            int start = codePoints + literal.codePointCount(0, literal.length());
            codePoints = start + text.codePointCount(0, text.length());
            spans.add(new Span(start, codePoints));
        }
        return new Filled(filled.append(literals.getLast()).toString(), List.copyOf(spans));
    }

    /**
     * As the web does it (USVString of Web IDL): each is one code point before and after. The tokenizer would make three of it, and
     * the halves of two texts would join.
     */
    private static String withoutHalves(String text) {
        if (!Surrogates.hasHalf(text)) {
            return text;
        }
        StringBuilder whole = new StringBuilder(text);
        for (int at = Surrogates.indexOfHalf(whole, 0); at >= 0; at = Surrogates.indexOfHalf(whole, at + 1)) {
            whole.setCharAt(at, REPLACEMENT);
        }
        return whole.toString();
    }

    /** Which of a row's texts stands at the given place: the inverse of the order of {@link Filled#spans()}. */
    public int textAt(int place) {
        return order.get(place);
    }

    @Override
    public String toString() {
        return source;
    }
}
