package io.softcall.inference.jinja;

import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.core.util.Separators.Spacing;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.inference.jinja.Values.Undefined;
import java.io.IOException;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/** Jinja's filters, such as {@code value | trim}. */
final class Filters {

    private static final JsonMapper JSON = new JsonMapper();
    private static final int MAX_INDENT = 16;

    private Filters() {}

    static Object apply(String filter, Object value, List<Object> arguments, Map<String, Object> named) {
        return switch (filter) {
            case "trim" -> Methods.call(text(value), "strip", arguments);
            case "upper", "lower", "capitalize", "title", "replace" -> Methods.call(text(value), filter, arguments);
            case "string", "safe" -> text(value);
            case "default", "d" -> orDefault(value, arguments, named);
            case "length", "count" -> Values.length(value);
            case "first" -> Values.items(value).stream().findFirst().orElse(new Undefined("the first item"));
            case "last" -> {
                List<Object> items = Values.items(value);
                yield items.isEmpty() ? new Undefined("the last item") : items.getLast();
            }
            case "list" -> Values.items(value);
            case "reverse" -> Values.items(value).reversed();
            case "unique" -> unique(Values.items(value));
            case "sort" -> sorted(value, named);
            case "min" -> Values.items(value).stream().min(Values::compare).orElse(new Undefined("the least item"));
            case "max" -> Values.items(value).stream().max(Values::compare).orElse(new Undefined("the largest item"));
            case "join" -> join(value, arguments, named);
            case "items" -> value instanceof Undefined ? List.of() : Methods.entries(dict(value));
            case "dictsort" -> {
                List<Object> entries = Methods.entries(dict(value));
                entries.sort((a, b) -> Values.compare(((List<?>) a).getFirst(), ((List<?>) b).getFirst()));
                yield entries;
            }
            case "int" -> whole(value, arguments);
            case "float" -> Values.isNumber(value) ? (Object) Values.decimal(value) : Double.valueOf(text(value));
            case "abs" ->
                value instanceof Double number ? (Object) Math.abs(number) : (Object) Math.abs(Values.whole(value));
            case "indent" -> indent(text(value), arguments, named);
            case "map" -> map(value, arguments, named);
            case "select" -> select(value, item -> holds(item, arguments, 0));
            case "reject" -> select(value, item -> !holds(item, arguments, 0));
            case "selectattr" -> select(value, item -> holds(attribute(item, first(arguments)), arguments, 1));
            case "rejectattr" -> select(value, item -> !holds(attribute(item, first(arguments)), arguments, 1));
            case "tojson" -> json(value, named);
            default -> throw TemplateException.of("there is no filter \"%s\" here", filter);
        };
    }

    private static String text(Object value) {
        return Values.text(value);
    }

    private static Object first(List<Object> arguments) {
        if (arguments.isEmpty()) {
            throw TemplateException.of("a filter wants an argument");
        }
        return arguments.getFirst();
    }

    private static Object argument(
            List<Object> arguments, int at, Map<String, Object> named, String name, Object other) {
        return at < arguments.size() ? arguments.get(at) : named.getOrDefault(name, other);
    }

    private static Map<?, ?> dict(Object value) {
        if (value instanceof Map<?, ?> map) {
            return map;
        }
        throw TemplateException.of("%s is not a dict", Values.type(value));
    }

    private static Object orDefault(Object value, List<Object> arguments, Map<String, Object> named) {
        boolean falsy = Values.isTrue(argument(arguments, 1, named, "boolean", false));
        boolean given = !(value instanceof Undefined) && (!falsy || Values.isTrue(value));
        return given ? value : argument(arguments, 0, named, "default_value", "");
    }

    private static List<Object> unique(List<Object> items) {
        List<Object> unique = new ArrayList<>();
        for (Object item : items) {
            if (!Values.contains(unique, item)) {
                unique.add(item);
            }
        }
        return unique;
    }

    private static List<Object> sorted(Object value, Map<String, Object> named) {
        List<Object> items = Values.items(value);
        Object attribute = named.get("attribute");
        Comparator<Object> order = attribute == null
                ? Values::compare
                : (a, b) -> Values.compare(attribute(a, attribute), attribute(b, attribute));
        items.sort(Values.isTrue(named.get("reverse")) ? order.reversed() : order);
        return items;
    }

    private static String join(Object value, List<Object> arguments, Map<String, Object> named) {
        String separator = text(argument(arguments, 0, named, "d", ""));
        Object attribute = argument(arguments, 1, named, "attribute", null);
        return String.join(
                separator,
                Values.items(value).stream()
                        .map(item -> text(attribute == null ? item : attribute(item, attribute)))
                        .toList());
    }

    private static long whole(Object value, List<Object> arguments) {
        if (value instanceof Double number) {
            return number.longValue();
        }
        if (Values.isNumber(value)) {
            return Values.whole(value);
        }
        try {
            return Long.parseLong(text(value).strip());
        } catch (NumberFormatException e) {
            return arguments.isEmpty() ? 0 : Values.whole(arguments.getFirst());
        }
    }

    private static String indent(String text, List<Object> arguments, Map<String, Object> named) {
        Object width = argument(arguments, 0, named, "width", 4L);
        String indent = width instanceof String own ? own : " ".repeat(Math.clamp(Values.whole(width), 0, 1000));
        boolean first = Values.isTrue(argument(arguments, 1, named, "first", false));
        boolean blank = Values.isTrue(argument(arguments, 2, named, "blank", false));
        StringBuilder indented = new StringBuilder();
        String[] lines = text.split("\n", -1);
        for (int i = 0; i < lines.length; i++) {
            boolean wanted = i == 0 ? first : blank || !lines[i].isEmpty();
            indented.append(i == 0 ? "" : "\n").append(wanted ? indent : "").append(lines[i]);
        }
        return indented.toString();
    }

    private static List<Object> map(Object value, List<Object> arguments, Map<String, Object> named) {
        List<Object> mapped = new ArrayList<>();
        for (Object item : itemsIfAny(value)) {
            if (named.containsKey("attribute")) {
                Object found = attribute(item, named.get("attribute"));
                mapped.add(found instanceof Undefined && named.containsKey("default") ? named.get("default") : found);
            } else {
                mapped.add(apply(text(first(arguments)), item, arguments.subList(1, arguments.size()), named));
            }
        }
        return mapped;
    }

    /** Returns no items of None too, as these filters do. */
    private static List<Object> itemsIfAny(Object value) {
        return Values.isTrue(value) ? Values.items(value) : List.of();
    }

    private static List<Object> select(Object value, Predicate<Object> wanted) {
        List<Object> selected = new ArrayList<>();
        for (Object item : itemsIfAny(value)) {
            if (wanted.test(item)) {
                selected.add(item);
            }
        }
        return selected;
    }

    /** Applies the test whose name is at a place of the arguments; without one, the item must be true. */
    private static boolean holds(Object item, List<Object> arguments, int at) {
        return arguments.size() <= at
                ? Values.isTrue(item)
                : Tests.holds(text(arguments.get(at)), item, arguments.subList(at + 1, arguments.size()));
    }

    private static Object attribute(Object item, Object name) {
        return item instanceof Map<?, ?> map && map.containsKey(name)
                ? map.get(name)
                : new Undefined("the attribute " + text(name));
    }

    /** Writes JSON as Python's {@code json.dumps(ensure_ascii=False)} does. */
    private static String json(Object value, Map<String, Object> named) {
        if (value instanceof Undefined undefined) {
            throw undefined.error();
        }
        Optional<Integer> indent =
                Optional.ofNullable(named.get("indent")).map(wanted -> Math.clamp(Values.whole(wanted), 0, MAX_INDENT));
        Spacing between = indent.isPresent() ? Spacing.NONE : Spacing.AFTER;
        DefaultPrettyPrinter printer = new DefaultPrettyPrinter(Separators.createDefaultInstance()
                .withObjectFieldValueSpacing(Spacing.AFTER)
                .withObjectEntrySpacing(between)
                .withArrayValueSpacing(between)
                .withObjectEmptySeparator("")
                .withArrayEmptySeparator(""));
        DefaultPrettyPrinter.Indenter indenter = indent.isPresent()
                ? new DefaultIndenter(" ".repeat(indent.get()), "\n")
                : DefaultPrettyPrinter.NopIndenter.instance;
        printer.indentObjectsWith(indenter);
        printer.indentArraysWith(indenter);
        try (BoundedWriter writer = new BoundedWriter()) {
            JSON.writer(printer).writeValue(writer, value);
            return writer.toString();
        } catch (IOException e) {
            throw TemplateException.of("%s cannot be written as JSON", Values.type(value));
        }
    }

    /** Refuses more than {@link Budget#MAX_TEXT} characters. */
    private static final class BoundedWriter extends StringWriter {

        @Override
        public void write(char[] characters, int from, int length) {
            super.write(characters, from, length);
            if (getBuffer().length() > Budget.MAX_TEXT) {
                throw TemplateException.of("a text has more than %d characters", Budget.MAX_TEXT);
            }
        }
    }
}
