package io.softcall;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Texts from the bytes of a fuzzer: UTF-8, separated by the byte FF, which UTF-8 never has. So every change of a byte gives
 * texts again. Two characters for private use stand for the halves of a surrogate pair, which UTF-8 cannot encode.
 */
public final class FuzzTexts {

    /** The dictionary for JSON documents. */
    public static final String JSON_WORDS = "/io/softcall/json.dict";

    private static final byte SEPARATOR = (byte) 0xff;

    private FuzzTexts() {}

    /** Returns at least one text. Malformed UTF-8 becomes U+FFFD. */
    public static List<String> of(byte[] bytes) {
        List<String> texts = new ArrayList<>();
        int from = 0;
        for (int i = 0; i <= bytes.length; i++) {
            if (i == bytes.length || bytes[i] == SEPARATOR) {
                texts.add(new String(bytes, from, i - from, StandardCharsets.UTF_8)
                        .replace('\ue000', '\ud83d')
                        .replace('\ue001', '\ude80'));
                from = i + 1;
            }
        }
        return texts;
    }

    /** Returns whether a text has no half of a surrogate pair, so that it survives UTF-8. */
    public static boolean isUnicode(String text) {
        return StandardCharsets.UTF_8.newEncoder().canEncode(text);
    }
}
