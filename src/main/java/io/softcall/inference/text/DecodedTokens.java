package io.softcall.inference.text;

import java.util.Arrays;
import java.util.function.Function;

/**
 * Decodes tokens one by one, so that the pieces together are the text of all. The text of a token depends on the tokens before
 * it. So the last ones are decoded again, with the new token and without it. Text is held back while it ends with a part of a
 * character.
 */
final class DecodedTokens {

    /** The bound on the window. A character has at most four tokens, so that a longer one holds bytes that are no text. */
    private static final int MAX_WINDOW = 32;

    private static final char UNFINISHED = '\ufffd';

    private final Function<long[], String> decode;
    private long[] window = {};
    /** How many tokens of the window have been returned as text. */
    private int returned;
    /** The text of those. */
    private String context = "";
    /** The text of the window. */
    private String text = "";

    /** @param decode the text of some token ids */
    DecodedTokens(Function<long[], String> decode) {
        this.decode = decode;
    }

    /** Returns the text that is certain with one more token. */
    String push(long id) {
        long[] longer = Arrays.copyOf(window, window.length + 1);
        longer[window.length] = id;
        String longerText = decode.apply(longer);
        if (longerText.equals(text) && !isUnfinished(text)) {
            // A special token, which means nothing to the text of others.
            return "";
        }
        window = longer;
        text = longerText;
        if (!isUnfinished(text)) {
            return release(window.length);
        }
        return window.length < MAX_WINDOW ? "" : release(border());
    }

    private static boolean isUnfinished(String text) {
        return !text.isEmpty() && text.charAt(text.length() - 1) == UNFINISHED;
    }

    /** Returns the text that was held back. */
    String end() {
        return release(window.length);
    }

    /** Returns the text of the first tokens. They remain as the context of the next ones. */
    private String release(int tokens) {
        String whole = tokens == window.length ? text : decode.apply(Arrays.copyOf(window, tokens));
        String piece = whole.substring(Math.min(context.length(), whole.length()));
        if (tokens > returned) {
            window = Arrays.copyOfRange(window, returned, window.length);
            returned = tokens - returned;
            context = decode.apply(Arrays.copyOf(window, returned));
            text = decode.apply(window);
        }
        return piece;
    }

    /** Returns a number of tokens behind which the last, unfinished character begins, or an earlier one. */
    private int border() {
        for (int tokens = window.length - 1; tokens > returned; tokens--) {
            String before = decode.apply(Arrays.copyOf(window, tokens));
            String behind = decode.apply(Arrays.copyOfRange(window, tokens, window.length));
            if (text.equals(before + behind) && isUnfinished(before)) {
                return tokens;
            }
        }
        return window.length;
    }
}
