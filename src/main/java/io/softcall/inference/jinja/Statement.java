package io.softcall.inference.jinja;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A part of a template's body. */
sealed interface Statement {

    record Data(String text) implements Statement {}

    /** Writes a value. */
    record Output(Expression value) implements Statement {}

    /**
     * @param condition which items are taken
     * @param otherwise what is rendered if there are none
     */
    record For(
            List<String> names,
            Expression items,
            Optional<Expression> condition,
            List<Statement> body,
            List<Statement> otherwise,
            int line)
            implements Statement {}

    record If(Expression condition, List<Statement> body, List<Statement> otherwise) implements Statement {}

    /** @param targets variables, or one attribute of a namespace */
    record Set(List<Target> targets, Expression value, int line) implements Statement {}

    /** @param filters are applied to the rendered body */
    record SetBlock(Target target, List<Expression.Filter> filters, List<Statement> body, int line)
            implements Statement {}

    /** @param attribute the namespace's attribute; empty for a variable */
    record Target(String name, Optional<String> attribute) {}

    record Macro(String name, List<String> parameters, Map<String, Expression> defaults, List<Statement> body)
            implements Statement {}

    /** What renders its body, and nothing else. */
    record Group(List<Statement> body) implements Statement {}

    record Break() implements Statement {}

    record Continue() implements Statement {}
}
