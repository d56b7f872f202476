package io.softcall.inference.jinja;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * What values are in Python: None is null, an int is a Long, a float is a Double, a str is a String, a list or tuple is a List, and
 * a dict is a Map. There are no others but those here, so that a template reaches no object of Java.
 */
final class Values {

    private static final int MAX_DEPTH = 20;

    private Values() {}

    /** A variable, attribute or item that is not there. It can be tested, and written as nothing; all else is an error. */
    record Undefined(String what) {

        TemplateException error() {
            return TemplateException.of("%s is undefined", what);
        }
    }

    /** A function, a macro, or a method of a value. */
    @FunctionalInterface
    interface Callable {
        Object call(List<Object> positional, Map<String, Object> named);
    }

    /** A {@code namespace}, whose attributes can be set from within loops. */
    record Namespace(Map<String, Object> attributes) {

        Namespace(Map<String, Object> attributes) {
            this.attributes = new HashMap<>(attributes);
        }
    }

    static boolean isTrue(Object value) {
        return switch (value) {
            case null -> false;
            case Undefined undefined -> false;
            case Boolean truth -> truth;
            case Long number -> number != 0;
            case Double number -> number != 0;
            case String text -> !text.isEmpty();
            case List<?> list -> !list.isEmpty();
            case Map<?, ?> map -> !map.isEmpty();
            default -> true;
        };
    }

    /**
     * {@code str(value)}.
     *
     * @throws TemplateException if it has more than {@link Budget#MAX_TEXT} characters
     */
    static String text(Object value) {
        if (value instanceof String text) {
            return text;
        }
        StringBuilder text = new StringBuilder();
        write(value, text);
        return text.toString();
    }

    private static void write(Object value, StringBuilder text) {
        if (text.length() > Budget.MAX_TEXT) {
            throw TemplateException.of("a text has more than %d characters", Budget.MAX_TEXT);
        }
        switch (value) {
            case null -> text.append("None");
            case Undefined undefined -> {}
            case Boolean truth -> text.append(truth ? "True" : "False");
            case Long number -> text.append(number);
            case Double number -> text.append(number);
            case String inside -> text.append(quoted(inside));
            case List<?> list -> {
                text.append('[');
                for (int i = 0; i < list.size(); i++) {
                    text.append(i > 0 ? ", " : "");
                    write(list.get(i), text);
                }
                text.append(']');
            }
            case Map<?, ?> map -> {
                text.append('{');
                String separator = "";
                for (Map.Entry<?, ?> entry : map.entrySet()) {
                    text.append(separator);
                    write(entry.getKey(), text);
                    text.append(": ");
                    write(entry.getValue(), text);
                    separator = ", ";
                }
                text.append('}');
            }
            default -> throw TemplateException.of("%s cannot be written", type(value));
        }
    }

    /** {@code repr} of a str. */
    private static String quoted(String text) {
        String escaped = text.replace("\\", "\\\\")
                .replace("\n", "\\n")
                .replace("\r", "\\r")
                .replace("\t", "\\t");
        return text.contains("'") && !text.contains("\"")
                ? "\"" + escaped + "\""
                : "'" + escaped.replace("'", "\\'") + "'";
    }

    static String type(Object value) {
        return switch (value) {
            case null -> "None";
            case Undefined undefined -> undefined.what() + ", which is undefined,";
            case Boolean truth -> "a bool";
            case Long number -> "an int";
            case Double number -> "a float";
            case String text -> "a str";
            case List<?> list -> "a list";
            case Map<?, ?> map -> "a dict";
            case Namespace namespace -> "a namespace";
            default -> "a function";
        };
    }

    static boolean equal(Object left, Object right) {
        return equal(left, right, 0);
    }

    private static boolean equal(Object left, Object right, int depth) {
        if (depth > MAX_DEPTH) {
            throw TemplateException.of("a list is nested more than %d deep", MAX_DEPTH);
        }
        if (isNumber(left) && isNumber(right)) {
            return left instanceof Double || right instanceof Double
                    ? decimal(left) == decimal(right)
                    : whole(left) == whole(right);
        }
        if (left instanceof List<?> some && right instanceof List<?> others) {
            if (some.size() != others.size()) {
                return false;
            }
            for (int i = 0; i < some.size(); i++) {
                if (!equal(some.get(i), others.get(i), depth + 1)) {
                    return false;
                }
            }
            return true;
        }
        return left instanceof Undefined ? right instanceof Undefined : Objects.equals(left, right);
    }

    /** Compares two numbers, or two texts. */
    static int compare(Object left, Object right) {
        if (isNumber(left) && isNumber(right)) {
            return Double.compare(decimal(left), decimal(right));
        }
        if (left instanceof String some && right instanceof String others) {
            return some.compareTo(others);
        }
        throw TemplateException.of("%s and %s cannot be compared", type(left), type(right));
    }

    static boolean contains(Object container, Object item) {
        return switch (container) {
            case String text when item instanceof String part -> text.contains(part);
            case List<?> list -> list.stream().anyMatch(each -> equal(each, item));
            case Map<?, ?> map -> map.containsKey(item);
            case Undefined undefined -> false;
            case null, default ->
                throw TemplateException.of("%s contains nothing like %s", type(container), type(item));
        };
    }

    /** Returns the items of a list, the keys of a dict, or the characters of a str. */
    static List<Object> items(Object value) {
        return switch (value) {
            case List<?> list -> new ArrayList<>(list);
            case Map<?, ?> map -> new ArrayList<>(map.keySet());
            case String text ->
                new ArrayList<>(text.codePoints().mapToObj(Character::toString).toList());
            case Undefined undefined -> new ArrayList<>();
            case null, default -> throw TemplateException.of("%s has no items", type(value));
        };
    }

    static long length(Object value) {
        return switch (value) {
            case String text -> text.codePointCount(0, text.length());
            case List<?> list -> list.size();
            case Map<?, ?> map -> map.size();
            case Undefined undefined -> 0;
            case null, default -> throw TemplateException.of("%s has no length", type(value));
        };
    }

    /** Returns whether a value is a number; a bool is one, as in Python. */
    static boolean isNumber(Object value) {
        return value instanceof Long || value instanceof Double || value instanceof Boolean;
    }

    static long whole(Object value) {
        return switch (value) {
            case Long number -> number;
            case Boolean truth -> truth ? 1 : 0;
            case Undefined undefined -> throw undefined.error();
            case null, default -> throw TemplateException.of("%s is not an int", type(value));
        };
    }

    static double decimal(Object value) {
        return value instanceof Double number ? number : whole(value);
    }
}
