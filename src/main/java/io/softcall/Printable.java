package io.softcall;

/**
 * Makes foreign text safe for log lines, manifests and error messages. The result is one line of bounded length,
 * without control characters and invisible characters. Text from outside (a key, a tensor's name, a library's message)
 * is converted once, in the constructors of the exceptions that carry it.
 */
public final class Printable {

    /** Maximum length of a result, in UTF-16 units. */
    public static final int MAX_LENGTH = 500;

    private static final String CUT = "...";

    private Printable() {}

    /** Returns the text, escaped and cut to {@link #MAX_LENGTH}; applied again, it changes nothing. */
    public static String of(String text) {
        return of(text, MAX_LENGTH);
    }

    /** @param maxLength of the result, at least 3 */
    public static String of(String text, int maxLength) {
        StringBuilder printable = new StringBuilder(Math.min(text.length(), maxLength));
        int at = 0;
        int cutAt = 0;
        while (at < text.length() && printable.length() <= maxLength) {
            int codePoint = text.codePointAt(at);
            if (isPlain(codePoint)) {
                printable.appendCodePoint(codePoint);
            } else {
                printable.append(escape(codePoint));
            }
            at += Character.charCount(codePoint);
            cutAt = printable.length() <= maxLength - CUT.length() ? printable.length() : cutAt;
        }
        if (printable.length() > maxLength) {
            printable.setLength(cutAt);
            printable.append(CUT);
        }
        return printable.toString();
    }

    private static boolean isPlain(int codePoint) {
        return switch (Character.getType(codePoint)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED -> false;
            default -> true;
        };
    }

    private static String escape(int codePoint) {
        return switch (codePoint) {
            case '\n' -> "\\n";
            case '\r' -> "\\r";
            case '\t' -> "\\t";
            default -> codePoint <= 0xffff ? "\\u%04x".formatted(codePoint) : "\\u{%x}".formatted(codePoint);
        };
    }
}
