package io.softcall.inference.jinja;

import io.softcall.inference.jinja.Expression.Arguments;
import io.softcall.inference.jinja.Expression.Operand;
import io.softcall.inference.jinja.Tokens.Kind;
import io.softcall.inference.jinja.Tokens.Token;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Parses expressions, with Jinja's precedence of operators. */
final class ExpressionParser {

    private static final int MAX_DEPTH = 100;
    private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");
    private static final Arguments NO_ARGUMENTS = new Arguments(List.of(), Map.of());

    private final Tokens tokens;
    private int depth;

    ExpressionParser(Tokens tokens) {
        this.tokens = tokens;
    }

    /** Parses one expression, or several with commas between them, which are a list. */
    Expression tuple() {
        Expression first = expression();
        if (!tokens.isOperator(",")) {
            return first;
        }
        List<Expression> items = new ArrayList<>(List.of(first));
        while (tokens.skip(",")) {
            Kind kind = tokens.current().kind();
            if (kind == Kind.BLOCK_END || kind == Kind.VARIABLE_END || tokens.isOperator(")")) {
                break;
            }
            items.add(expression());
        }
        return new Expression.ListOf(items);
    }

    Expression expression() {
        if (++depth > MAX_DEPTH) {
            throw TemplateException.at(tokens.current().line(), "an expression is nested too deeply");
        }
        Expression value = withoutConditional();
        while (tokens.skipName("if")) {
            Expression condition = withoutConditional();
            Optional<Expression> otherwise = tokens.skipName("else") ? Optional.of(expression()) : Optional.empty();
            value = new Expression.Conditional(value, condition, otherwise);
        }
        depth--;
        return value;
    }

    /** Parses an expression that ends before {@code if}. */
    Expression withoutConditional() {
        Expression left = and();
        while (tokens.skipName("or")) {
            left = new Expression.Or(left, and());
        }
        return left;
    }

    private Expression and() {
        Expression left = not();
        while (tokens.skipName("and")) {
            left = new Expression.And(left, not());
        }
        return left;
    }

    private Expression not() {
        return tokens.skipName("not") ? new Expression.Not(not()) : comparison();
    }

    private Expression comparison() {
        int line = tokens.current().line();
        Expression first = sum();
        List<Operand> operands = new ArrayList<>();
        while (true) {
            Token token = tokens.current();
            if (token.kind() == Kind.OPERATOR && COMPARISONS.contains(token.text())) {
                tokens.next();
                operands.add(new Operand(token.text(), sum()));
            } else if (tokens.skipName("in")) {
                operands.add(new Operand("in", sum()));
            } else if (tokens.isName("not") && tokens.following().is(Kind.NAME, "in")) {
                tokens.next();
                tokens.next();
                operands.add(new Operand("not in", sum()));
            } else {
                return operands.isEmpty() ? first : new Expression.Comparison(first, operands, line);
            }
        }
    }

    private Expression sum() {
        Expression left = concatenation();
        while (tokens.isOperator("+") || tokens.isOperator("-")) {
            Token operator = tokens.next();
            left = new Expression.Binary(operator.text(), left, concatenation(), operator.line());
        }
        return left;
    }

    private Expression concatenation() {
        Expression left = product();
        while (tokens.isOperator("~")) {
            Token operator = tokens.next();
            left = new Expression.Binary("~", left, product(), operator.line());
        }
        return left;
    }

    private Expression product() {
        Expression left = unary(true);
        while (tokens.current().kind() == Kind.OPERATOR
                && Set.of("*", "/", "//", "%").contains(tokens.current().text())) {
            Token operator = tokens.next();
            left = new Expression.Binary(operator.text(), left, unary(true), operator.line());
        }
        return left;
    }

    private Expression unary(boolean withFilters) {
        int line = tokens.current().line();
        Expression value;
        if (tokens.skip("-")) {
            value = new Expression.Negative(unary(false), line);
        } else if (tokens.skip("+")) {
            value = unary(false);
        } else {
            value = postfix(primary());
        }
        return withFilters ? filters(value) : value;
    }

    private Expression primary() {
        Token token = tokens.next();
        return switch (token.kind()) {
            case NAME -> name(token);
            case STRING -> {
                StringBuilder text = new StringBuilder(token.text());
                while (tokens.current().kind() == Kind.STRING) {
                    text.append(tokens.next().text());
                }
                yield new Expression.Constant(text.toString());
            }
            case NUMBER -> number(token);
            case OPERATOR ->
                switch (token.text()) {
                    case "(" -> {
                        if (tokens.skip(")")) {
                            yield new Expression.ListOf(List.of());
                        }
                        Expression inside = tuple();
                        tokens.expect(")");
                        yield inside;
                    }
                    case "[" -> new Expression.ListOf(items("]"));
                    case "{" -> dict();
                    default ->
                        throw TemplateException.at(token.line(), "found \"%s\", expected an expression", token.text());
                };
            default -> throw TemplateException.at(token.line(), "found \"%s\", expected an expression", token.text());
        };
    }

    private static Expression name(Token token) {
        return switch (token.text()) {
            case "true", "True" -> new Expression.Constant(true);
            case "false", "False" -> new Expression.Constant(false);
            case "none", "None" -> new Expression.Constant(null);
            default -> new Expression.Name(token.text(), token.line());
        };
    }

    private static Expression number(Token token) {
        String digits = token.text().replace("_", "");
        try {
            return new Expression.Constant(
                    digits.matches("[0-9]+") ? (Object) Long.valueOf(digits) : Double.valueOf(digits));
        } catch (NumberFormatException e) {
            throw TemplateException.at(token.line(), "the number %s is too large", digits);
        }
    }

    private List<Expression> items(String end) {
        List<Expression> items = new ArrayList<>();
        while (!tokens.skip(end)) {
            items.add(expression());
            if (!tokens.isOperator(end)) {
                tokens.expect(",");
            }
        }
        return items;
    }

    private Expression dict() {
        List<Expression> keys = new ArrayList<>();
        List<Expression> values = new ArrayList<>();
        while (!tokens.skip("}")) {
            keys.add(expression());
            tokens.expect(":");
            values.add(expression());
            if (!tokens.isOperator("}")) {
                tokens.expect(",");
            }
        }
        return new Expression.DictOf(keys, values);
    }

    private Expression postfix(Expression start) {
        Expression value = start;
        while (true) {
            int line = tokens.current().line();
            if (tokens.skip(".")) {
                Token name = tokens.next();
                value = name.kind() == Kind.NUMBER
                        ? new Expression.Item(value, number(name), line)
                        : new Expression.Attribute(value, name.text(), line);
            } else if (tokens.skip("[")) {
                value = subscript(value, line);
            } else if (tokens.skip("(")) {
                value = new Expression.Call(value, arguments(), line);
            } else {
                return value;
            }
        }
    }

    private Expression subscript(Expression of, int line) {
        Optional<Expression> start = bound();
        if (!tokens.skip(":")) {
            tokens.expect("]");
            return new Expression.Item(of, start.orElseThrow(() -> tokens.unexpected("an index")), line);
        }
        Optional<Expression> stop = bound();
        Optional<Expression> step = tokens.skip(":") ? bound() : Optional.empty();
        tokens.expect("]");
        return new Expression.Slice(of, start, stop, step, line);
    }

    private Optional<Expression> bound() {
        return tokens.isOperator(":") || tokens.isOperator("]") ? Optional.empty() : Optional.of(expression());
    }

    /** Parses the arguments behind an opened bracket. */
    private Arguments arguments() {
        List<Expression> positional = new ArrayList<>();
        Map<String, Expression> named = new LinkedHashMap<>();
        while (!tokens.skip(")")) {
            if (tokens.current().kind() == Kind.NAME && tokens.following().is(Kind.OPERATOR, "=")) {
                String name = tokens.next().text();
                tokens.next();
                named.put(name, expression());
            } else {
                positional.add(expression());
            }
            if (!tokens.isOperator(")")) {
                tokens.expect(",");
            }
        }
        return new Arguments(positional, named);
    }

    private Expression filters(Expression start) {
        Expression value = start;
        while (true) {
            int line = tokens.current().line();
            if (tokens.skip("|")) {
                value = filter(value);
            } else if (tokens.skipName("is")) {
                value = test(value);
            } else if (tokens.skip("(")) {
                value = new Expression.Call(value, arguments(), line);
            } else {
                return value;
            }
        }
    }

    /** Parses a filter behind its bar. */
    Expression.Filter filter(Expression value) {
        Token name = tokens.expect(Kind.NAME);
        return new Expression.Filter(value, name.text(), tokens.skip("(") ? arguments() : NO_ARGUMENTS, name.line());
    }

    private Expression test(Expression value) {
        boolean negated = tokens.skipName("not");
        Token name = tokens.expect(Kind.NAME);
        Arguments arguments = NO_ARGUMENTS;
        if (tokens.skip("(")) {
            arguments = arguments();
        } else if (beginsArgument()) {
            arguments = new Arguments(List.of(postfix(primary())), Map.of());
        }
        Expression test = new Expression.Test(value, name.text(), arguments, name.line());
        return negated ? new Expression.Not(test) : test;
    }

    /** Returns whether a test has an argument without brackets. */
    private boolean beginsArgument() {
        Token token = tokens.current();
        return switch (token.kind()) {
            case NAME -> !Set.of("else", "or", "and", "is", "if", "in", "not").contains(token.text());
            case STRING, NUMBER -> true;
            case OPERATOR -> token.text().equals("[") || token.text().equals("{");
            default -> false;
        };
    }
}
