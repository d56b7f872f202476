package io.softcall.inference.jinja;

import io.softcall.inference.jinja.Evaluator.Scope;
import io.softcall.inference.jinja.Values.Callable;
import io.softcall.inference.jinja.Values.Namespace;
import java.time.Clock;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * A chat template. It is rendered as transformers does: with {@code trim_blocks}, {@code lstrip_blocks}, and the functions {@code
 * raise_exception} and {@code strftime_now}. Immutable.
 *
 * <p>Everything is bounded: the template, its nesting, each text and list, and the steps and the time of a rendering.
 */
public final class Template {

    /** The bound on a template, in characters. Those of large models have 20,000. */
    public static final int MAX_LENGTH = 1 << 18;

    private static final long MAX_RANGE = 10_000;

    private final List<Statement> body;
    private final Clock clock;

    /**
     * @param clock what {@code strftime_now} reads
     * @throws TemplateException if the template is too long, or cannot be parsed
     */
    public Template(String source, Clock clock) {
        if (source.length() > MAX_LENGTH) {
            throw TemplateException.of("it has %d characters, at most %d are accepted", source.length(), MAX_LENGTH);
        }
        try {
            this.body = Parser.parse(source);
        } catch (StackOverflowError e) {
            throw TemplateException.of("it is nested too deeply");
        }
        this.clock = clock;
    }

    /**
     * Renders the template.
     *
     * @param variables texts, numbers, lists and maps of these
     * @throws TemplateException if the template refuses its input, is faulty, or exceeds a bound
     */
    public String render(Map<String, Object> variables) {
        Map<String, Object> all = new HashMap<>(variables);
        all.put("raise_exception", (Callable) (positional, named) -> {
            throw TemplateException.raisedBy(Values.text(positional.isEmpty() ? "" : positional.getFirst()));
        });
        all.put("strftime_now", (Callable) (positional, named) -> now(Values.text(positional.getFirst())));
        all.put("namespace", (Callable) (positional, named) -> new Namespace(named));
        all.put("dict", (Callable) (positional, named) -> new LinkedHashMap<>(named));
        all.put("range", (Callable) (positional, named) -> range(positional));
        try {
            return new Renderer().render(body, new Scope(all));
        } catch (StackOverflowError e) {
            throw TemplateException.of("it is nested too deeply");
        }
    }

    private static List<Object> range(List<Object> arguments) {
        if (arguments.isEmpty()) {
            throw TemplateException.of("range wants an argument");
        }
        long start = arguments.size() > 1 ? Values.whole(arguments.getFirst()) : 0;
        long stop = Values.whole(arguments.get(arguments.size() > 1 ? 1 : 0));
        long step = arguments.size() > 2 ? Values.whole(arguments.get(2)) : 1;
        if (step == 0 || Math.abs((double) stop - start) / Math.abs((double) step) > MAX_RANGE) {
            throw TemplateException.of("range(%d, %d, %d) has more than %d numbers", start, stop, step, MAX_RANGE);
        }
        List<Object> numbers = new ArrayList<>();
        for (long number = start; step > 0 ? number < stop : number > stop; number += step) {
            numbers.add(number);
        }
        return numbers;
    }

    /** Writes the time with the letters of C's {@code strftime} that concern dates and times of the day. */
    private String now(String format) {
        ZonedDateTime now = ZonedDateTime.now(clock);
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < format.length(); i++) {
            if (format.charAt(i) != '%' || i + 1 == format.length()) {
                text.append(format.charAt(i));
                continue;
            }
            boolean unpadded = format.charAt(i + 1) == '-' && i + 2 < format.length();
            i += unpadded ? 2 : 1;
            String pattern = pattern(format.charAt(i));
            String part = DateTimeFormatter.ofPattern(pattern, Locale.ENGLISH).format(now);
            text.append(unpadded && part.length() > 1 && part.charAt(0) == '0' ? part.substring(1) : part);
        }
        return text.toString();
    }

    private static String pattern(char letter) {
        return switch (letter) {
            case 'Y' -> "yyyy";
            case 'y' -> "yy";
            case 'm' -> "MM";
            case 'B' -> "MMMM";
            case 'b', 'h' -> "MMM";
            case 'd' -> "dd";
            case 'j' -> "DDD";
            case 'A' -> "EEEE";
            case 'a' -> "EEE";
            case 'H' -> "HH";
            case 'I' -> "hh";
            case 'M' -> "mm";
            case 'S' -> "ss";
            case 'p' -> "a";
            case 'F' -> "yyyy-MM-dd";
            case 'T' -> "HH:mm:ss";
            case '%' -> "'%'";
            default -> throw TemplateException.of("strftime_now has no %%%s here", letter);
        };
    }
}
