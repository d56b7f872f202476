package io.softcall.inference.text;

import io.softcall.inference.model.Tokenizer;
import java.util.List;

/**
 * Turns the tokens of one answer into text as they arrive, up to a stop text. Text is held back while it may be the beginning of a
 * stop text, or ends with a part of a character. So no character spans two pieces. Not safe for use by several threads.
 */
public final class TextStream {

    private final DecodedTokens decoded;
    private final List<StopText> stops;
    private final boolean includeStop;
    private final int minTokens;

    /** The text that may be the beginning of a stop text. */
    private final StringBuilder held = new StringBuilder();

    private int tokens;
    private boolean stopped;

    /**
     * @param stop the texts that end the answer, each at least one character. The one that ends first counts; among several that
     *     end at the same place, the longest.
     * @param includeStop whether a stop text is part of the answer
     * @param minTokens stop texts that end in the text of the first {@code minTokens} tokens do not count
     * @throws IllegalArgumentException if a stop text is empty
     */
    public TextStream(Tokenizer tokenizer, List<String> stop, boolean includeStop, int minTokens) {
        this.decoded = new DecodedTokens(tokenizer::decode);
        this.stops = stop.stream().map(StopText::new).toList();
        this.includeStop = includeStop;
        this.minTokens = minTokens;
    }

    /** Returns the text that is certain with one more token; none once a stop text has come. */
    public String push(long id) {
        if (stopped) {
            return "";
        }
        tokens++;
        return release(decoded.push(id));
    }

    /** Returns the text that was held back, when no more tokens come. */
    public String end() {
        if (stopped) {
            return "";
        }
        String rest = release(decoded.end()) + held;
        held.setLength(0);
        return rest;
    }

    /** Returns whether a stop text has come. The text behind it is lost. */
    public boolean isStopped() {
        return stopped;
    }

    /** Returns the certain text of what is held back and what is new. */
    private String release(String text) {
        for (int i = 0; i < text.length(); i++) {
            int stopLength = read(text.charAt(i));
            if (stopLength > 0 && tokens > minTokens) {
                stopped = true;
                held.append(text, 0, i + 1);
                held.setLength(includeStop ? held.length() : held.length() - stopLength);
                return take(held.length());
            }
        }
        held.append(text);
        return take(
                held.length() - stops.stream().mapToInt(StopText::open).max().orElse(0));
    }

    /** Returns the length of the longest stop text that ends with a character; 0 if none does. */
    private int read(char character) {
        int longest = 0;
        for (StopText stop : stops) {
            if (stop.read(character)) {
                longest = Math.max(longest, stop.length());
            }
        }
        return longest;
    }

    private String take(int length) {
        String taken = held.substring(0, length);
        held.delete(0, length);
        return taken;
    }
}
