package io.softcall;

/** Halves of surrogate pairs: a text of Java or JSON can hold one, UTF-8 cannot. */
public final class Surrogates {

    private Surrogates() {}

    public static boolean hasHalf(CharSequence text) {
        return indexOfHalf(text, 0) >= 0;
    }

    /** Where the next half stands that is without its other, from a place on; -1 where there is none. */
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
}
