package io.softcall.inference.jinja;

import io.softcall.inference.jinja.Tokens.Kind;
import io.softcall.inference.jinja.Tokens.Token;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Splits a template into tokens, with the options {@code trim_blocks} and {@code lstrip_blocks} of transformers. */
final class Lexer {

    private static final Pattern BEGIN = Pattern.compile("\\{[{%#]");
    private static final Pattern RAW = Pattern.compile("\\{%([-+]?)\\s*raw\\s*(-?)%}");
    private static final Pattern END_RAW = Pattern.compile("\\{%([-+]?)\\s*endraw\\s*([-+]?)%}");
    private static final Pattern NAME = Pattern.compile("[\\p{L}_][\\p{L}\\p{N}_]*");
    private static final Pattern NUMBER = Pattern.compile("[0-9][0-9_]*(\\.[0-9]+)?([eE][+-]?[0-9]+)?");
    private static final Pattern STRING =
            Pattern.compile("'((?:[^'\\\\]++|\\\\.)*+)'|\"((?:[^\"\\\\]++|\\\\.)*+)\"", Pattern.DOTALL);
    private static final Pattern OPERATOR = Pattern.compile("\\*\\*|//|==|!=|>=|<=|[-+*/%~<>=.,:|()\\[\\]{}]");

    private final String source;
    private final List<Token> tokens = new ArrayList<>();
    private int at;
    private int line = 1;
    /** Whether what follows begins a line. */
    private boolean lineStarting = true;

    private Lexer(String source) {
        this.source = source;
    }

    /** @throws TemplateException if a tag has no end, or holds other characters than Jinja's */
    static Tokens tokens(String template) {
        String source = template.replace("\r\n", "\n").replace('\r', '\n');
        Lexer lexer = new Lexer(source.endsWith("\n") ? source.substring(0, source.length() - 1) : source);
        lexer.read();
        return new Tokens(lexer.tokens);
    }

    private void read() {
        Matcher begin = BEGIN.matcher(source);
        while (begin.find(at)) {
            String data = source.substring(at, begin.start());
            char kind = source.charAt(begin.start() + 1);
            int inside = begin.end();
            char sign = inside < source.length() ? source.charAt(inside) : ' ';
            data(stripped(data, sign, kind != '{'));
            advance(begin.start());
            if (kind == '#') {
                comment();
            } else if (kind == '%' && isRaw()) {
                raw();
            } else {
                advance(sign == '-' || sign == '+' && kind == '%' ? inside + 1 : inside);
                inside(kind == '%');
            }
        }
        data(source.substring(at));
        tokens.add(new Token(Kind.END, "the end", line));
    }

    /** Returns text before a tag, as the sign of the tag, or {@code lstrip_blocks}, shortens it. */
    private String stripped(String data, char sign, boolean block) {
        if (sign == '-') {
            return Methods.strip(data, null, false, true);
        }
        int lineStart = data.lastIndexOf('\n') + 1;
        boolean wholeLine = lineStart > 0 || lineStarting;
        boolean blank =
                Methods.strip(data.substring(lineStart), null, true, true).isEmpty();
        return block && sign != '+' && wholeLine && blank ? data.substring(0, lineStart) : data;
    }

    private void data(String text) {
        if (!text.isEmpty()) {
            tokens.add(new Token(Kind.DATA, text, line));
        }
    }

    /** Moves on, and counts lines. */
    private void advance(int to) {
        for (int i = at; i < to; i++) {
            line += source.charAt(i) == '\n' ? 1 : 0;
        }
        lineStarting = to > at ? source.charAt(to - 1) == '\n' : lineStarting;
        at = to;
    }

    private void comment() {
        int end = source.indexOf("#}", at + 2);
        if (end < 0) {
            throw TemplateException.at(line, "a comment has no end");
        }
        char sign = source.charAt(end - 1);
        advance(end + 2);
        afterTag(sign, true);
    }

    /** Skips the white space after a tag that its sign, or {@code trim_blocks}, removes. */
    private void afterTag(char sign, boolean block) {
        if (sign == '-') {
            String rest = source.substring(at);
            advance(source.length() - Methods.strip(rest, null, true, false).length());
        } else if (block && sign != '+' && at < source.length() && source.charAt(at) == '\n') {
            advance(at + 1);
        }
    }

    private boolean isRaw() {
        return RAW.matcher(source).region(at, source.length()).lookingAt();
    }

    private void raw() {
        Matcher begin = RAW.matcher(source).region(at, source.length());
        begin.lookingAt();
        Matcher end = END_RAW.matcher(source);
        if (!end.find(begin.end())) {
            throw TemplateException.at(line, "{%% raw %%} has no end");
        }
        advance(begin.end());
        afterTag(begin.group(2).isEmpty() ? ' ' : '-', true);
        String data = source.substring(Math.min(at, end.start()), end.start());
        data(stripped(data, end.group(1).isEmpty() ? ' ' : end.group(1).charAt(0), true));
        advance(end.end());
        afterTag(end.group(2).isEmpty() ? ' ' : end.group(2).charAt(0), true);
    }

    /** Reads the tokens of a tag up to its end. */
    private void inside(boolean block) {
        int tag = line;
        tokens.add(new Token(block ? Kind.BLOCK_BEGIN : Kind.VARIABLE_BEGIN, "", line));
        int open = 0;
        while (true) {
            skipSpace();
            if (at >= source.length()) {
                throw TemplateException.at(tag, "a tag has no end");
            }
            String end = block ? "%}" : "}}";
            int signs = source.charAt(at) == '-' || block && source.charAt(at) == '+' ? 1 : 0;
            if (open == 0 && source.startsWith(end, at + signs)) {
                char sign = source.charAt(at);
                tokens.add(new Token(block ? Kind.BLOCK_END : Kind.VARIABLE_END, end, line));
                advance(at + signs + 2);
                afterTag(signs == 1 ? sign : ' ', block);
                return;
            }
            Token token = token();
            tokens.add(token);
            if (token.kind() == Kind.OPERATOR) {
                open += "([{".contains(token.text()) ? 1 : ")]}".contains(token.text()) ? -1 : 0;
            }
        }
    }

    private void skipSpace() {
        int to = at;
        while (to < source.length() && Character.isWhitespace(source.charAt(to))) {
            to++;
        }
        advance(to);
    }

    private Token token() {
        Token token = read(NAME, Kind.NAME);
        token = token == null ? read(NUMBER, Kind.NUMBER) : token;
        token = token == null ? string() : token;
        token = token == null ? read(OPERATOR, Kind.OPERATOR) : token;
        if (token == null) {
            throw TemplateException.at(line, "unexpected character '%s'", Character.toString(source.codePointAt(at)));
        }
        return token;
    }

    private Token read(Pattern pattern, Kind kind) {
        Matcher matcher = pattern.matcher(source).region(at, source.length());
        if (!matcher.lookingAt()) {
            return null;
        }
        Token token = new Token(kind, matcher.group(), line);
        advance(matcher.end());
        return token;
    }

    private Token string() {
        Matcher matcher = STRING.matcher(source).region(at, source.length());
        if (!matcher.lookingAt()) {
            return null;
        }
        String quoted = matcher.group(1) == null ? matcher.group(2) : matcher.group(1);
        Token token = new Token(Kind.STRING, unescaped(quoted), line);
        advance(matcher.end());
        return token;
    }

    /** Replaces the escapes of Python's strings. */
    private String unescaped(String quoted) {
        StringBuilder text = new StringBuilder();
        int i = 0;
        while (i < quoted.length()) {
            char character = quoted.charAt(i++);
            if (character != '\\') {
                text.append(character);
                continue;
            }
            char escape = quoted.charAt(i++);
            int digits =
                    switch (escape) {
                        case 'x' -> 2;
                        case 'u' -> 4;
                        case 'U' -> 8;
                        default -> 0;
                    };
            if (digits > 0) {
                if (i + digits > quoted.length()
                        || !quoted.substring(i, i + digits).matches("[0-9a-fA-F]+")) {
                    throw TemplateException.at(line, "\\%s wants %d hexadecimal digits", escape, digits);
                }
                text.appendCodePoint(Integer.parseInt(quoted.substring(i, i + digits), 16));
                i += digits;
                continue;
            }
            switch (escape) {
                case 'n' -> text.append('\n');
                case 'r' -> text.append('\r');
                case 't' -> text.append('\t');
                case 'b' -> text.append('\b');
                case 'f' -> text.append('\f');
                case '0' -> text.append('\0');
                case '\\', '\'', '"' -> text.append(escape);
                case '\n' -> {}
                default -> text.append('\\').append(escape);
            }
        }
        return text.toString();
    }
}
