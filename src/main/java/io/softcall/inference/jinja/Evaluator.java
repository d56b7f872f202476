package io.softcall.inference.jinja;

import io.softcall.inference.jinja.Expression.Arguments;
import io.softcall.inference.jinja.Values.Callable;
import io.softcall.inference.jinja.Values.Namespace;
import io.softcall.inference.jinja.Values.Undefined;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Computes expressions. */
final class Evaluator {

    private final Budget budget;

    /** The variables of a template, of one round of a loop, or of one call of a macro. */
    static final class Scope {

        private final Map<String, Object> variables;
        /** Null for the outermost one. */
        private final Scope outer;

        Scope(Map<String, Object> variables) {
            this.variables = new HashMap<>(variables);
            this.outer = null;
        }

        private Scope(Scope outer) {
            this.variables = new HashMap<>();
            this.outer = outer;
        }

        /** Returns a scope whose variables hide those of this one. */
        Scope inner() {
            return new Scope(this);
        }

        void set(String name, Object value) {
            variables.put(name, value);
        }

        Object get(String name) {
            for (Scope scope = this; scope != null; scope = scope.outer) {
                if (scope.variables.containsKey(name)) {
                    return scope.variables.get(name);
                }
            }
            return new Undefined("'" + name + "'");
        }
    }

    Evaluator(Budget budget) {
        this.budget = budget;
    }

    Object value(Expression expression, Scope scope) {
        budget.step();
        return switch (expression) {
            case Expression.Constant constant -> constant.value();
            case Expression.Name name -> scope.get(name.name());
            case Expression.ListOf list -> values(list.items(), scope);
            case Expression.DictOf dict -> {
                Map<Object, Object> map = new LinkedHashMap<>();
                for (int i = 0; i < dict.keys().size(); i++) {
                    map.put(
                            value(dict.keys().get(i), scope),
                            value(dict.values().get(i), scope));
                }
                yield map;
            }
            case Expression.Not not -> !isTrue(not.value(), scope);
            case Expression.And and -> {
                Object left = value(and.left(), scope);
                yield Values.isTrue(left) ? value(and.right(), scope) : left;
            }
            case Expression.Or or -> {
                Object left = value(or.left(), scope);
                yield Values.isTrue(left) ? left : value(or.right(), scope);
            }
            case Expression.Conditional conditional -> {
                if (isTrue(conditional.condition(), scope)) {
                    yield value(conditional.value(), scope);
                }
                yield conditional
                        .otherwise()
                        .map(otherwise -> new Box(value(otherwise, scope)))
                        .orElse(new Box(new Undefined("an if without else")))
                        .value();
            }
            case Expression.Attribute attribute ->
                located(attribute.line(), () -> attribute(value(attribute.of(), scope), attribute.name()));
            case Expression.Item item ->
                located(item.line(), () -> item(value(item.of(), scope), value(item.key(), scope)));
            case Expression.Slice slice -> located(slice.line(), () -> slice(slice, scope));
            case Expression.Call call -> located(call.line(), () -> call(call, scope));
            case Expression.Filter filter -> filter(value(filter.value(), scope), filter, scope);
            case Expression.Test test ->
                located(
                        test.line(),
                        () -> Tests.holds(
                                test.name(),
                                value(test.value(), scope),
                                values(test.arguments().positional(), scope)));
            case Expression.Negative negative ->
                located(negative.line(), () -> negative(value(negative.value(), scope)));
            case Expression.Binary binary -> located(binary.line(), () -> binary(binary, scope));
            case Expression.Comparison comparison -> located(comparison.line(), () -> comparison(comparison, scope));
        };
    }

    /** Holds a value that may be null. */
    private record Box(Object value) {}

    boolean isTrue(Expression expression, Scope scope) {
        return Values.isTrue(value(expression, scope));
    }

    private List<Object> values(List<Expression> expressions, Scope scope) {
        List<Object> values = new ArrayList<>();
        for (Expression expression : expressions) {
            values.add(value(expression, scope));
        }
        return values;
    }

    /** A part of a computation. */
    @FunctionalInterface
    interface Computation {
        Object compute();
    }

    /** Computes, and tells the line of an error that has none yet. */
    Object located(int line, Computation computation) {
        try {
            return computation.compute();
        } catch (TemplateException e) {
            throw e.isRaised() || e.getMessage().startsWith("line ")
                    ? e
                    : TemplateException.at(line, "%s", e.getMessage());
        }
    }

    private Object attribute(Object of, String name) {
        return switch (of) {
            case Undefined undefined -> throw undefined.error();
            case Namespace namespace -> namespace.attributes().getOrDefault(name, missing(of, name));
            case Map<?, ?> map when !Methods.exists(of, name) -> entry(map, name);
            case null -> missing(of, name);
            default -> Methods.exists(of, name) ? method(of, name) : missing(of, name);
        };
    }

    private static Undefined missing(Object of, Object name) {
        return new Undefined("the attribute %s of %s".formatted(Values.text(name), Values.type(of)));
    }

    private static Object entry(Map<?, ?> map, Object key) {
        return map.containsKey(key) ? map.get(key) : missing(map, key);
    }

    private Callable method(Object of, String name) {
        return (positional, named) -> {
            budget.made(of);
            return budget.made(Methods.call(of, name, positional));
        };
    }

    private Object item(Object of, Object key) {
        return switch (of) {
            case Undefined undefined -> throw undefined.error();
            case Map<?, ?> map -> entry(map, key);
            case List<?> list
            when key instanceof Long index -> {
                long place = index < 0 ? index + list.size() : index;
                yield place >= 0 && place < list.size() ? list.get((int) place) : missing(of, key);
            }
            case String text
            when key instanceof Long index -> {
                List<Object> characters = Values.items(budget.made(text));
                long place = index < 0 ? index + characters.size() : index;
                yield place >= 0 && place < characters.size() ? characters.get((int) place) : missing(of, key);
            }
            case null -> missing(of, key);
            default -> key instanceof String name ? attribute(of, name) : missing(of, key);
        };
    }

    private Object slice(Expression.Slice slice, Scope scope) {
        Object of = value(slice.of(), scope);
        if (of instanceof Undefined undefined) {
            throw undefined.error();
        }
        if (!(of instanceof String || of instanceof List<?>)) {
            throw TemplateException.of("%s has no slices", Values.type(of));
        }
        List<Object> items = Values.items(budget.made(of));
        long step = bound(slice.step(), scope, 1);
        if (step == 0) {
            throw TemplateException.of("a slice has the step 0");
        }
        int size = items.size();
        long start = place(bound(slice.start(), scope, step > 0 ? 0 : size), size, step);
        long stop = slice.stop().isEmpty() && step < 0 ? -1 : place(bound(slice.stop(), scope, size), size, step);
        List<Object> sliced = new ArrayList<>();
        for (long at = start; step > 0 ? at < stop : at > stop; at += step) {
            sliced.add(items.get((int) at));
        }
        return of instanceof String
                ? String.join("", sliced.stream().map(String.class::cast).toList())
                : sliced;
    }

    private long bound(Optional<Expression> expression, Scope scope, long other) {
        Object value = expression
                .map(bound -> new Box(value(bound, scope)))
                .orElse(new Box(null))
                .value();
        return value == null ? other : Values.whole(value);
    }

    /** Returns the place of an index, within the bounds of a list. */
    private static long place(long index, int size, long step) {
        long place = index < 0 ? index + size : index;
        return step > 0 ? Math.clamp(place, 0, size) : Math.clamp(place, -1, size - 1L);
    }

    private Object call(Expression.Call call, Scope scope) {
        Object function = value(call.function(), scope);
        List<Object> positional = values(call.arguments().positional(), scope);
        Map<String, Object> named = named(call.arguments(), scope);
        return switch (function) {
            case Undefined undefined -> throw undefined.error();
            case Callable callable -> budget.made(callable.call(positional, named));
            case null, default -> throw TemplateException.of("%s is not a function", Values.type(function));
        };
    }

    private Map<String, Object> named(Arguments arguments, Scope scope) {
        Map<String, Object> named = new LinkedHashMap<>();
        arguments.named().forEach((name, argument) -> named.put(name, value(argument, scope)));
        return named;
    }

    /** Applies a filter to a value. */
    Object filter(Object value, Expression.Filter filter, Scope scope) {
        List<Object> positional = values(filter.arguments().positional(), scope);
        Map<String, Object> named = named(filter.arguments(), scope);
        return located(
                filter.line(), () -> budget.made(Filters.apply(filter.name(), budget.made(value), positional, named)));
    }

    private static Object negative(Object value) {
        return value instanceof Double number ? (Object) (-number) : (Object) (-Values.whole(value));
    }

    private Object binary(Expression.Binary binary, Scope scope) {
        Object left = value(binary.left(), scope);
        Object right = value(binary.right(), scope);
        if (binary.operator().equals("~")) {
            return budget.made(Values.text(left) + Values.text(right));
        }
        if (left instanceof Undefined undefined) {
            throw undefined.error();
        }
        if (right instanceof Undefined undefined) {
            throw undefined.error();
        }
        if (binary.operator().equals("+") && left instanceof String some && right instanceof String more) {
            return budget.made(some + more);
        }
        if (binary.operator().equals("+") && left instanceof List<?> some && right instanceof List<?> more) {
            List<Object> sum = new ArrayList<>(some);
            sum.addAll(more);
            return budget.made(sum);
        }
        return binary.operator().equals("*") && left instanceof String text && right instanceof Long times
                ? repeat(text, times)
                : number(binary.operator(), left, right);
    }

    private Object repeat(String text, long times) {
        if (times > 0 && text.length() > Budget.MAX_TEXT / times) {
            throw TemplateException.of("a text has more than %d characters", Budget.MAX_TEXT);
        }
        return budget.made(text.repeat((int) Math.max(0, times)));
    }

    private static Object number(String operator, Object left, Object right) {
        if (!Values.isNumber(left) || !Values.isNumber(right)) {
            throw TemplateException.of("%s %s %s cannot be computed", Values.type(left), operator, Values.type(right));
        }
        if (Values.decimal(right) == 0 && "/ // %".contains(operator)) {
            throw TemplateException.of("division by zero");
        }
        boolean whole = !(left instanceof Double || right instanceof Double);
        return switch (operator) {
            case "/" -> Values.decimal(left) / Values.decimal(right);
            case "+" -> whole ? (Object) (Values.whole(left) + Values.whole(right)) : decimal(left) + decimal(right);
            case "-" -> whole ? (Object) (Values.whole(left) - Values.whole(right)) : decimal(left) - decimal(right);
            case "*" -> whole ? (Object) (Values.whole(left) * Values.whole(right)) : decimal(left) * decimal(right);
            case "//" ->
                whole
                        ? (Object) Math.floorDiv(Values.whole(left), Values.whole(right))
                        : (Object) Math.floor(decimal(left) / decimal(right));
            default ->
                whole
                        ? (Object) Math.floorMod(Values.whole(left), Values.whole(right))
                        : (Object) (decimal(left) - Math.floor(decimal(left) / decimal(right)) * decimal(right));
        };
    }

    private static double decimal(Object value) {
        return Values.decimal(value);
    }

    private Object comparison(Expression.Comparison comparison, Scope scope) {
        Object left = value(comparison.first(), scope);
        for (Expression.Operand operand : comparison.operands()) {
            Object right = value(operand.value(), scope);
            if (!holds(operand.operator(), left, right)) {
                return false;
            }
            left = right;
        }
        return true;
    }

    private boolean holds(String operator, Object left, Object right) {
        return switch (operator) {
            case "==" -> Values.equal(left, right);
            case "!=" -> !Values.equal(left, right);
            case "<" -> Values.compare(left, right) < 0;
            case "<=" -> Values.compare(left, right) <= 0;
            case ">" -> Values.compare(left, right) > 0;
            case ">=" -> Values.compare(left, right) >= 0;
            case "in" -> Values.contains(budget.made(right), left);
            default -> !Values.contains(budget.made(right), left);
        };
    }
}
