package io.softcall.inference.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.IntPredicate;

/** The methods of Python's str, list and dict that chat templates use. None changes its object. */
final class Methods {

    private static final Set<String> OF_TEXTS = Set.of(
            "strip",
            "lstrip",
            "rstrip",
            "startswith",
            "endswith",
            "split",
            "splitlines",
            "replace",
            "upper",
            "lower",
            "capitalize",
            "title",
            "find",
            "rfind",
            "count",
            "join",
            "format",
            "removeprefix",
            "removesuffix");

    private static final Set<String> OF_DICTS = Set.of("items", "keys", "values", "get");
    private static final Set<String> OF_LISTS = Set.of("index", "count");

    private Methods() {}

    /** Returns whether a value has a method, as far as there are methods here. */
    static boolean exists(Object of, String name) {
        return switch (of) {
            case String text -> OF_TEXTS.contains(name);
            case Map<?, ?> map -> OF_DICTS.contains(name);
            case List<?> list -> OF_LISTS.contains(name);
            case null, default -> false;
        };
    }

    /** Calls a method that exists. */
    static Object call(Object of, String name, List<Object> arguments) {
        return switch (of) {
            case String text -> ofText(text, name, arguments);
            case Map<?, ?> map -> ofDict(map, name, arguments);
            case List<?> list
            when name.equals("count") ->
                list.stream()
                        .filter(each -> Values.equal(each, first(name, arguments)))
                        .count();
            case List<?> list -> (long) indexOf(list, first(name, arguments));
            default -> throw TemplateException.of("%s has no methods", Values.type(of));
        };
    }

    private static Object ofDict(Map<?, ?> map, String name, List<Object> arguments) {
        return switch (name) {
            case "items" -> entries(map);
            case "keys" -> new ArrayList<>(map.keySet());
            case "values" -> new ArrayList<>(map.values());
            default -> {
                Object key = first(name, arguments);
                Object other = arguments.size() > 1 ? arguments.get(1) : null;
                yield map.containsKey(key) ? map.get(key) : other;
            }
        };
    }

    /** Returns the keys and values of a dict, as lists of two. */
    static List<Object> entries(Map<?, ?> map) {
        List<Object> entries = new ArrayList<>();
        map.forEach((key, value) -> {
            List<Object> entry = new ArrayList<>();
            entry.add(key);
            entry.add(value);
            entries.add(entry);
        });
        return entries;
    }

    private static int indexOf(List<?> list, Object item) {
        for (int i = 0; i < list.size(); i++) {
            if (Values.equal(list.get(i), item)) {
                return i;
            }
        }
        throw TemplateException.of("the list has no such item");
    }

    private static Object first(String name, List<Object> arguments) {
        if (arguments.isEmpty()) {
            throw TemplateException.of("%s wants an argument", name);
        }
        return arguments.getFirst();
    }

    private static Object ofText(String text, String name, List<Object> arguments) {
        return switch (name) {
            case "strip" -> strip(text, characters(arguments), true, true);
            case "lstrip" -> strip(text, characters(arguments), true, false);
            case "rstrip" -> strip(text, characters(arguments), false, true);
            case "startswith" -> affixes(first(name, arguments)).stream().anyMatch(text::startsWith);
            case "endswith" -> affixes(first(name, arguments)).stream().anyMatch(text::endsWith);
            case "removeprefix" -> {
                String prefix = string(name, arguments);
                yield text.startsWith(prefix) ? text.substring(prefix.length()) : text;
            }
            case "removesuffix" -> {
                String suffix = string(name, arguments);
                yield text.endsWith(suffix) ? text.substring(0, text.length() - suffix.length()) : text;
            }
            case "split" -> split(text, arguments);
            case "splitlines" -> new ArrayList<Object>(text.lines().toList());
            case "replace" -> replace(text, arguments);
            case "upper" -> text.toUpperCase(Locale.ROOT);
            case "lower" -> text.toLowerCase(Locale.ROOT);
            case "capitalize" -> capitalize(text);
            case "title" -> title(text);
            case "find" -> place(text, text.indexOf(string(name, arguments)));
            case "rfind" -> place(text, text.lastIndexOf(string(name, arguments)));
            case "count" ->
                parts(text, string(name, arguments), Integer.MAX_VALUE).size() - 1L;
            case "join" ->
                String.join(
                        text,
                        Values.items(first(name, arguments)).stream()
                                .map(Values::text)
                                .toList());
            default -> format(text, arguments);
        };
    }

    private static String string(String name, List<Object> arguments) {
        if (first(name, arguments) instanceof String text) {
            return text;
        }
        throw TemplateException.of("%s wants a str", name);
    }

    private static String characters(List<Object> arguments) {
        return arguments.isEmpty() || arguments.getFirst() == null ? null : Values.text(arguments.getFirst());
    }

    /**
     * Removes characters from the ends of a text.
     *
     * @param characters which ones; null: white space
     */
    static String strip(String text, String characters, boolean left, boolean right) {
        IntPredicate drop = characters == null ? Methods::isSpace : character -> characters.indexOf(character) >= 0;
        int from = 0;
        int to = text.length();
        while (left && from < to && drop.test(text.codePointAt(from))) {
            from += Character.charCount(text.codePointAt(from));
        }
        while (right && to > from && drop.test(text.codePointBefore(to))) {
            to -= Character.charCount(text.codePointBefore(to));
        }
        return text.substring(from, to);
    }

    /** {@code str.isspace} of a character. */
    private static boolean isSpace(int character) {
        return Character.isWhitespace(character) || Character.isSpaceChar(character) || character == 0x85;
    }

    private static List<String> affixes(Object affix) {
        return affix instanceof List<?> several
                ? several.stream().map(Values::text).toList()
                : List.of(Values.text(affix));
    }

    private static List<Object> split(String text, List<Object> arguments) {
        String separator = characters(arguments);
        if (separator == null) {
            return words(text);
        }
        long most = arguments.size() > 1 ? Values.whole(arguments.get(1)) : -1;
        return parts(text, separator, most < 0 ? Long.MAX_VALUE : most);
    }

    private static List<Object> words(String text) {
        List<Object> words = new ArrayList<>();
        int at = 0;
        while (at < text.length()) {
            int start = at;
            while (at < text.length() && !isSpace(text.charAt(at))) {
                at++;
            }
            if (at > start) {
                words.add(text.substring(start, at));
            }
            at++;
        }
        return words;
    }

    /** Splits a text at the first occurrences of a separator, at most {@code most} times. */
    private static List<Object> parts(String text, String separator, long most) {
        if (separator.isEmpty()) {
            throw TemplateException.of("the separator is empty");
        }
        List<Object> parts = new ArrayList<>();
        int from = 0;
        int at = text.indexOf(separator);
        while (at >= 0 && parts.size() < most) {
            parts.add(text.substring(from, at));
            from = at + separator.length();
            at = text.indexOf(separator, from);
        }
        parts.add(text.substring(from));
        return parts;
    }

    private static String replace(String text, List<Object> arguments) {
        if (arguments.size() < 2) {
            throw TemplateException.of("replace wants two arguments");
        }
        String old = Values.text(arguments.get(0));
        String with = Values.text(arguments.get(1));
        long most = arguments.size() > 2 && arguments.get(2) != null ? Values.whole(arguments.get(2)) : -1;
        List<Object> parts = parts(text, old, most < 0 ? Long.MAX_VALUE : most);
        if ((long) parts.size() * with.length() > Budget.MAX_TEXT) {
            throw TemplateException.of("a text has more than %d characters", Budget.MAX_TEXT);
        }
        return String.join(with, parts.stream().map(String.class::cast).toList());
    }

    /** Returns a place as Python counts: code points. */
    private static long place(String text, int index) {
        return index < 0 ? -1 : text.codePointCount(0, index);
    }

    private static String capitalize(String text) {
        if (text.isEmpty()) {
            return text;
        }
        int end = text.offsetByCodePoints(0, 1);
        return text.substring(0, end).toUpperCase(Locale.ROOT)
                + text.substring(end).toLowerCase(Locale.ROOT);
    }

    private static String title(String text) {
        StringBuilder title = new StringBuilder();
        boolean inside = false;
        for (int character : text.codePoints().toArray()) {
            title.appendCodePoint(inside ? Character.toLowerCase(character) : Character.toTitleCase(character));
            inside = Character.isLetter(character);
        }
        return title.toString();
    }

    /** {@code str.format} with plain {@code {}} only. */
    private static String format(String text, List<Object> arguments) {
        StringBuilder formatted = new StringBuilder();
        List<Object> parts = parts(text, "{}", Long.MAX_VALUE);
        for (int i = 0; i < parts.size(); i++) {
            if (i > arguments.size() || ((String) parts.get(i)).matches("(?s).*[{}].*")) {
                throw TemplateException.of("format replaces {} only, and wants an argument for each");
            }
            formatted.append(i == 0 ? "" : Values.text(arguments.get(i - 1))).append(parts.get(i));
        }
        return formatted.toString();
    }
}
