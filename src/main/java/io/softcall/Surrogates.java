package io.softcall;

/** Finds unpaired surrogates: a string of Java or JSON can hold one, UTF-8 cannot. */
public final class Surrogates {

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
}
