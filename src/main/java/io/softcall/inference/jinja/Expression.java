package io.softcall.inference.jinja;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** An expression of a template. */
sealed interface Expression {

    record Constant(Object value) implements Expression {}

    record Name(String name, int line) implements Expression {}

    record ListOf(List<Expression> items) implements Expression {}

    record DictOf(List<Expression> keys, List<Expression> values) implements Expression {}

    /** {@code of.name}: an attribute, or else an item. */
    record Attribute(Expression of, String name, int line) implements Expression {}

    /** {@code of[key]}: an item, or else an attribute. */
    record Item(Expression of, Expression key, int line) implements Expression {}

    record Slice(
            Expression of, Optional<Expression> start, Optional<Expression> stop, Optional<Expression> step, int line)
            implements Expression {}

    record Arguments(List<Expression> positional, Map<String, Expression> named) {}

    record Call(Expression function, Arguments arguments, int line) implements Expression {}

    record Filter(Expression value, String name, Arguments arguments, int line) implements Expression {}

    record Test(Expression value, String name, Arguments arguments, int line) implements Expression {}

    record Not(Expression value) implements Expression {}

    record And(Expression left, Expression right) implements Expression {}

    record Or(Expression left, Expression right) implements Expression {}

    /** {@code value if condition else otherwise}. */
    record Conditional(Expression value, Expression condition, Optional<Expression> otherwise) implements Expression {}

    record Negative(Expression value, int line) implements Expression {}

    /** An operator of two numbers, texts or lists. */
    record Binary(String operator, Expression left, Expression right, int line) implements Expression {}

    /** {@code first operator operand operator operand}: all must hold. */
    record Comparison(Expression first, List<Operand> operands, int line) implements Expression {}

    record Operand(String operator, Expression value) {}
}
