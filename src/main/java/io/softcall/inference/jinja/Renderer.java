package io.softcall.inference.jinja;

import io.softcall.inference.jinja.Evaluator.Scope;
import io.softcall.inference.jinja.Statement.Target;
import io.softcall.inference.jinja.Values.Callable;
import io.softcall.inference.jinja.Values.Namespace;
import io.softcall.inference.jinja.Values.Undefined;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Renders statements. */
final class Renderer {

    private final Budget budget = new Budget();
    private final Evaluator evaluator = new Evaluator(budget);

    /** How a body ended. */
    private enum End {
        NORMAL,
        BREAK,
        CONTINUE
    }

    String render(List<Statement> body, Scope scope) {
        StringBuilder text = new StringBuilder();
        render(body, scope, text);
        return text.toString();
    }

    private End render(List<Statement> body, Scope scope, StringBuilder text) {
        for (Statement statement : body) {
            End end = render(statement, scope, text);
            if (end != End.NORMAL) {
                return end;
            }
        }
        return End.NORMAL;
    }

    private End render(Statement statement, Scope scope, StringBuilder text) {
        budget.step();
        switch (statement) {
            case Statement.Data data -> write(data.text(), text);
            case Statement.Output output -> write(Values.text(evaluator.value(output.value(), scope)), text);
            case Statement.If branch -> {
                return render(
                        evaluator.isTrue(branch.condition(), scope) ? branch.body() : branch.otherwise(), scope, text);
            }
            case Statement.For loop -> evaluator.located(loop.line(), () -> loop(loop, scope, text));
            case Statement.Set set -> evaluator.located(set.line(), () -> set(set, scope));
            case Statement.SetBlock set -> {
                Object value = render(set.body(), scope.inner());
                for (Expression.Filter filter : set.filters()) {
                    value = evaluator.filter(value, filter, scope);
                }
                assign(set.target(), value, scope);
            }
            case Statement.Macro macro -> scope.set(macro.name(), callable(macro, scope));
            case Statement.Group group -> {
                return render(group.body(), scope, text);
            }
            case Statement.Break end -> {
                return End.BREAK;
            }
            case Statement.Continue end -> {
                return End.CONTINUE;
            }
        }
        return End.NORMAL;
    }

    private void write(String written, StringBuilder text) {
        budget.made(written);
        text.append(written);
        if (text.length() > Budget.MAX_TEXT) {
            throw TemplateException.of("the text has more than %d characters", Budget.MAX_TEXT);
        }
    }

    private Object loop(Statement.For loop, Scope scope, StringBuilder text) {
        List<Object> items = Values.items(budget.made(evaluator.value(loop.items(), scope)));
        loop.condition()
                .ifPresent(condition -> items.removeIf(item -> {
                    Scope inner = scope.inner();
                    bind(loop.names(), item, inner);
                    return !evaluator.isTrue(condition, inner);
                }));
        if (items.isEmpty()) {
            render(loop.otherwise(), scope, text);
        }
        for (int i = 0; i < items.size(); i++) {
            Scope inner = scope.inner();
            inner.set("loop", place(items, i));
            bind(loop.names(), items.get(i), inner);
            if (render(loop.body(), inner, text) == End.BREAK) {
                break;
            }
        }
        return null;
    }

    /** Returns the variable {@code loop}. */
    private static Map<String, Object> place(List<Object> items, int at) {
        Map<String, Object> loop = new HashMap<>();
        long size = items.size();
        loop.put("index", at + 1L);
        loop.put("index0", (long) at);
        loop.put("revindex", size - at);
        loop.put("revindex0", size - at - 1);
        loop.put("first", at == 0);
        loop.put("last", at + 1 == size);
        loop.put("length", size);
        loop.put("previtem", at > 0 ? items.get(at - 1) : new Undefined("the item before the first one"));
        loop.put("nextitem", at + 1 < size ? items.get(at + 1) : new Undefined("the item after the last one"));
        return loop;
    }

    private static void bind(List<String> names, Object value, Scope scope) {
        if (names.size() == 1) {
            scope.set(names.getFirst(), value);
            return;
        }
        List<Object> values = Values.items(value);
        if (values.size() != names.size()) {
            throw TemplateException.of("there are %d values for %d names", values.size(), names.size());
        }
        for (int i = 0; i < names.size(); i++) {
            scope.set(names.get(i), values.get(i));
        }
    }

    private Object set(Statement.Set set, Scope scope) {
        Object value = evaluator.value(set.value(), scope);
        if (set.targets().size() == 1) {
            assign(set.targets().getFirst(), value, scope);
            return null;
        }
        List<Object> values = Values.items(value);
        if (values.size() != set.targets().size()) {
            throw TemplateException.of(
                    "there are %d values for %d names",
                    values.size(), set.targets().size());
        }
        for (int i = 0; i < values.size(); i++) {
            assign(set.targets().get(i), values.get(i), scope);
        }
        return null;
    }

    private static void assign(Target target, Object value, Scope scope) {
        if (target.attribute().isEmpty()) {
            scope.set(target.name(), value);
        } else if (scope.get(target.name()) instanceof Namespace namespace) {
            namespace.attributes().put(target.attribute().get(), value);
        } else {
            throw TemplateException.of("'%s' is not a namespace", target.name());
        }
    }

    private Callable callable(Statement.Macro macro, Scope scope) {
        return (positional, named) -> {
            List<String> parameters = macro.parameters();
            if (positional.size() > parameters.size()) {
                throw TemplateException.of("the macro %s takes %d arguments", macro.name(), parameters.size());
            }
            budget.enterCall();
            Scope inner = scope.inner();
            for (int i = 0; i < parameters.size(); i++) {
                String parameter = parameters.get(i);
                if (i < positional.size()) {
                    inner.set(parameter, positional.get(i));
                } else if (named.containsKey(parameter)) {
                    inner.set(parameter, named.get(parameter));
                } else if (macro.defaults().containsKey(parameter)) {
                    inner.set(parameter, evaluator.value(macro.defaults().get(parameter), inner));
                } else {
                    inner.set(parameter, new Undefined("parameter '" + parameter + "'"));
                }
            }
            String text = render(macro.body(), inner);
            budget.leaveCall();
            return text;
        };
    }
}
