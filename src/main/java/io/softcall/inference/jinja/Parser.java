package io.softcall.inference.jinja;

import io.softcall.inference.jinja.Statement.Target;
import io.softcall.inference.jinja.Tokens.Kind;
import io.softcall.inference.jinja.Tokens.Token;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Parses statements. */
final class Parser {

    private static final int MAX_DEPTH = 100;

    private final Tokens tokens;
    private final ExpressionParser expressions;
    private int depth;

    private Parser(Tokens tokens) {
        this.tokens = tokens;
        this.expressions = new ExpressionParser(tokens);
    }

    /** @throws TemplateException if it is not a template of the supported part of Jinja */
    static List<Statement> parse(String template) {
        Tokens tokens = Lexer.tokens(template);
        List<Statement> body = new Parser(tokens).body();
        if (tokens.current().kind() != Kind.END) {
            throw tokens.unexpected("a statement");
        }
        return body;
    }

    /** Parses up to the first tag that is none of a statement: an end, or another branch. */
    private List<Statement> body(String... ends) {
        if (++depth > MAX_DEPTH) {
            throw TemplateException.at(tokens.current().line(), "statements are nested too deeply");
        }
        List<Statement> body = new ArrayList<>();
        while (true) {
            Token token = tokens.current();
            switch (token.kind()) {
                case DATA -> {
                    tokens.next();
                    body.add(new Statement.Data(token.text()));
                }
                case VARIABLE_BEGIN -> {
                    tokens.next();
                    body.add(new Statement.Output(expressions.tuple()));
                    tokens.expect(Kind.VARIABLE_END);
                }
                case BLOCK_BEGIN -> {
                    tokens.next();
                    if (List.of(ends).contains(tokens.current().text())) {
                        depth--;
                        return body;
                    }
                    body.add(statement());
                }
                default -> {
                    if (ends.length > 0) {
                        throw tokens.unexpected("{% " + ends[ends.length - 1] + " %}");
                    }
                    depth--;
                    return body;
                }
            }
        }
    }

    private Statement statement() {
        Token keyword = tokens.expect(Kind.NAME);
        return switch (keyword.text()) {
            case "for" -> loop(keyword.line());
            case "if" -> branch();
            case "set" -> set(keyword.line());
            case "macro" -> macro();
            case "generation" -> {
                tokens.expect(Kind.BLOCK_END);
                List<Statement> body = body("endgeneration");
                end();
                yield new Statement.Group(body);
            }
            case "break" -> {
                tokens.expect(Kind.BLOCK_END);
                yield new Statement.Break();
            }
            case "continue" -> {
                tokens.expect(Kind.BLOCK_END);
                yield new Statement.Continue();
            }
            default ->
                throw TemplateException.at(keyword.line(), "there is no statement {%% %s %%} here", keyword.text());
        };
    }

    /** Reads the keyword that ended a body, and the end of its tag. */
    private String end() {
        String keyword = tokens.expect(Kind.NAME).text();
        tokens.expect(Kind.BLOCK_END);
        return keyword;
    }

    private Statement loop(int line) {
        List<String> names = new ArrayList<>();
        boolean brackets = tokens.skip("(");
        do {
            names.add(tokens.expect(Kind.NAME).text());
        } while (tokens.skip(","));
        if (brackets) {
            tokens.expect(")");
        }
        tokens.expectName("in");
        Expression items = expressions.withoutConditional();
        Optional<Expression> condition =
                tokens.skipName("if") ? Optional.of(expressions.expression()) : Optional.empty();
        tokens.expect(Kind.BLOCK_END);
        List<Statement> body = body("else", "endfor");
        List<Statement> otherwise = List.of();
        if (end().equals("else")) {
            otherwise = body("endfor");
            end();
        }
        return new Statement.For(names, items, condition, body, otherwise, line);
    }

    /** Parses behind {@code if} or {@code elif}. */
    private Statement branch() {
        Expression condition = expressions.tuple();
        tokens.expect(Kind.BLOCK_END);
        List<Statement> body = body("elif", "else", "endif");
        if (tokens.skipName("elif")) {
            return new Statement.If(condition, body, List.of(branch()));
        }
        List<Statement> otherwise = List.of();
        if (end().equals("else")) {
            otherwise = body("endif");
            end();
        }
        return new Statement.If(condition, body, otherwise);
    }

    private Statement set(int line) {
        List<Target> targets = new ArrayList<>();
        do {
            String name = tokens.expect(Kind.NAME).text();
            Optional<String> attribute =
                    tokens.skip(".") ? Optional.of(tokens.expect(Kind.NAME).text()) : Optional.empty();
            targets.add(new Target(name, attribute));
        } while (tokens.skip(","));
        if (tokens.skip("=")) {
            Expression value = expressions.tuple();
            tokens.expect(Kind.BLOCK_END);
            return new Statement.Set(targets, value, line);
        }
        List<Expression.Filter> filters = new ArrayList<>();
        while (tokens.skip("|")) {
            filters.add(expressions.filter(new Expression.Constant("")));
        }
        tokens.expect(Kind.BLOCK_END);
        List<Statement> body = body("endset");
        end();
        return new Statement.SetBlock(targets.getFirst(), filters, body, line);
    }

    private Statement macro() {
        String name = tokens.expect(Kind.NAME).text();
        List<String> parameters = new ArrayList<>();
        Map<String, Expression> defaults = new LinkedHashMap<>();
        tokens.expect("(");
        while (!tokens.skip(")")) {
            String parameter = tokens.expect(Kind.NAME).text();
            parameters.add(parameter);
            if (tokens.skip("=")) {
                defaults.put(parameter, expressions.expression());
            }
            if (!tokens.current().is(Kind.OPERATOR, ")")) {
                tokens.expect(",");
            }
        }
        tokens.expect(Kind.BLOCK_END);
        List<Statement> body = body("endmacro");
        tokens.next();
        tokens.skipName(name);
        tokens.expect(Kind.BLOCK_END);
        return new Statement.Macro(name, parameters, defaults, body);
    }
}
