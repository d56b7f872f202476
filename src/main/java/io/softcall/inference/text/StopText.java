package io.softcall.inference.text;

/** Finds a text in what is read character by character (Knuth, Morris and Pratt 1977). */
final class StopText {

    private final String text;
    /** The length of the longest beginning of the text that ends, but is not, its first i + 1 characters. */
    private final int[] borders;

    private int matched;

    /** @param text at least one character */
    StopText(String text) {
        if (text.isEmpty()) {
            throw new IllegalArgumentException("a stop text is empty");
        }
        this.text = text;
        borders = new int[text.length()];
        for (int i = 1; i < borders.length; i++) {
            borders[i] = next(borders[i - 1], text.charAt(i));
        }
    }

    /** Returns how many characters match behind one more, where {@code before} have matched. */
    private int next(int before, char character) {
        int length = before == text.length() ? borders[before - 1] : before;
        while (length > 0 && text.charAt(length) != character) {
            length = borders[length - 1];
        }
        return text.charAt(length) == character ? length + 1 : 0;
    }

    /** Reads a character. @return whether the text ends here */
    boolean read(char character) {
        matched = next(matched, character);
        return matched == text.length();
    }

    int length() {
        return text.length();
    }

    /** Returns how many characters, read last, may be the beginning of the text. */
    int open() {
        return matched == text.length() ? borders[matched - 1] : matched;
    }
}
