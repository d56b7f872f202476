package io.softcall.inference.jinja;

import io.softcall.inference.jinja.Values.Callable;
import io.softcall.inference.jinja.Values.Undefined;
import java.util.List;
import java.util.Map;

/** Jinja's tests, such as {@code value is defined}. */
final class Tests {

    private Tests() {}

    static boolean holds(String test, Object value, List<Object> arguments) {
        return switch (test) {
            case "defined" -> !(value instanceof Undefined);
            case "undefined" -> value instanceof Undefined;
            case "none" -> value == null;
            case "string" -> value instanceof String;
            case "boolean" -> value instanceof Boolean;
            case "true" -> Boolean.TRUE.equals(value);
            case "false" -> Boolean.FALSE.equals(value);
            case "number" -> Values.isNumber(value);
            case "integer" -> value instanceof Long;
            case "float" -> value instanceof Double;
            case "mapping" -> value instanceof Map<?, ?>;
            case "sequence" -> value instanceof List<?> || value instanceof Map<?, ?> || value instanceof String;
            case "iterable" ->
                value instanceof List<?>
                        || value instanceof Map<?, ?>
                        || value instanceof String
                        || value instanceof Undefined;
            case "callable" -> value instanceof Callable;
            case "even" -> Values.whole(value) % 2 == 0;
            case "odd" -> Values.whole(value) % 2 != 0;
            case "divisibleby" -> Math.floorMod(Values.whole(value), Values.whole(first(test, arguments))) == 0;
            case "eq", "equalto", "==", "sameas" -> Values.equal(value, first(test, arguments));
            case "ne", "!=" -> !Values.equal(value, first(test, arguments));
            case "lt", "lessthan", "<" -> Values.compare(value, first(test, arguments)) < 0;
            case "le", "<=" -> Values.compare(value, first(test, arguments)) <= 0;
            case "gt", "greaterthan", ">" -> Values.compare(value, first(test, arguments)) > 0;
            case "ge", ">=" -> Values.compare(value, first(test, arguments)) >= 0;
            case "in" -> Values.contains(first(test, arguments), value);
            default -> throw TemplateException.of("there is no test \"%s\" here", test);
        };
    }

    private static Object first(String test, List<Object> arguments) {
        if (arguments.isEmpty()) {
            throw TemplateException.of("the test \"%s\" wants an argument", test);
        }
        return arguments.getFirst();
    }
}
