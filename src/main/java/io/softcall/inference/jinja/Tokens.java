package io.softcall.inference.jinja;

import java.util.List;

/** The tokens of a template, read one after the other. */
final class Tokens {

    /** What a token is. */
    enum Kind {
        /** Text outside of tags. */
        DATA,
        /** The start and the end of a statement. */
        BLOCK_BEGIN,
        BLOCK_END,
        /** The start and the end of an expression whose value is written. */
        VARIABLE_BEGIN,
        VARIABLE_END,
        NAME,
        STRING,
        NUMBER,
        OPERATOR,
        END
    }

    /**
     * A piece of a template.
     *
     * @param text the text of {@code DATA}, the name, the value of a string, the digits, or the operator
     */
    record Token(Kind kind, String text, int line) {

        boolean is(Kind wanted, String wantedText) {
            return kind == wanted && text.equals(wantedText);
        }
    }

    private final List<Token> tokens;
    private int at;

    Tokens(List<Token> tokens) {
        this.tokens = tokens;
    }

    Token current() {
        return tokens.get(at);
    }

    /** Returns the token behind the current one. */
    Token following() {
        return tokens.get(Math.min(at + 1, tokens.size() - 1));
    }

    Token next() {
        Token token = tokens.get(at);
        at = Math.min(at + 1, tokens.size() - 1);
        return token;
    }

    boolean isOperator(String operator) {
        return current().is(Kind.OPERATOR, operator);
    }

    boolean isName(String name) {
        return current().is(Kind.NAME, name);
    }

    boolean skip(String operator) {
        boolean found = isOperator(operator);
        at += found ? 1 : 0;
        return found;
    }

    boolean skipName(String name) {
        boolean found = isName(name);
        at += found ? 1 : 0;
        return found;
    }

    Token expect(Kind kind) {
        if (current().kind() != kind) {
            throw unexpected(kind.toString());
        }
        return next();
    }

    void expect(String operator) {
        if (!skip(operator)) {
            throw unexpected(operator);
        }
    }

    void expectName(String name) {
        if (!skipName(name)) {
            throw unexpected(name);
        }
    }

    TemplateException unexpected(String wanted) {
        return TemplateException.at(
                current().line(), "found \"%s\", expected %s", current().text(), wanted);
    }
}
