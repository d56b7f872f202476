package io.softcall;

/** Finds and replaces unpaired surrogates: a string of Java or JSON can hold one, UTF-8 cannot. */
public final class Surrogates {

    private static final char REPLACEMENT = '\ufffd';

    private Surrogates() {}

    public static boolean hasHalf(CharSequence text) {
        return indexOfHalf(text, 0) >= 0;
    }

    /** Returns the index of the first unpaired surrogate at or after {@code from}; -1 when there is none. */
    public static int indexOfHalf(CharSequence text, int from) {
        for (int i = from; i < text.length(); i++) {
            if (Character.isSurrogate(text.charAt(i))) {
                if (i + 1 == text.length() || !Character.isSurrogatePair(text.charAt(i), text.charAt(i + 1))) {
                    return i;
                }
                i++;
            }
        }
        return -1;
    }

    /**
     * Returns a text with U+FFFD in place of each half of a surrogate pair, as Web IDL's USVString does. Each is one code point
     * before and after. The tokenizer would make three of it, and the halves of two texts would join.
     */
    public static String replaced(String text) {
        if (!hasHalf(text)) {
            return text;
        }
        StringBuilder whole = new StringBuilder(text);
        for (int at = indexOfHalf(whole, 0); at >= 0; at = indexOfHalf(whole, at + 1)) {
            whole.setCharAt(at, REPLACEMENT);
        }
        return whole.toString();
    }
}
