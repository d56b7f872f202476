package io.softcall.store;

import java.util.Comparator;

/**
 * The order of keys in S3: that of their UTF-8 bytes, which equals that of their code points. The order of Java's strings
 * differs beyond U+FFFF.
 */
public final class Utf8Order {

    public static final Comparator<String> COMPARATOR = Utf8Order::compare;

    private Utf8Order() {}

    private static int compare(String a, String b) {
        int length = Math.min(a.length(), b.length());
        for (int i = 0; i < length; i++) {
            char left = a.charAt(i);
            char right = b.charAt(i);
            if (left != right) {
                boolean surrogate = Character.isSurrogate(left);
                return surrogate == Character.isSurrogate(right) ? left - right : surrogate ? 1 : -1;
            }
        }
        return a.length() - b.length();
    }
}
