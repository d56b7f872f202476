package io.softcall.inference.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.Surrogates;
import io.softcall.Tiny;
import io.softcall.inference.model.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Tokens become text piece by piece, and the pieces together are the text of all tokens. */
class TextStreamTest {

    private static final Tokenizer TINY = new Tokenizer(Tiny.BASE.resolve("tokenizer.json"));
    private static final Tokenizer SMOLLM2 =
            new Tokenizer(Path.of("training-exporter/src/softcall/graphs/SmolLM2-135M-Instruct-Q4_1/tokenizer.json"));

    private static final List<String> TEXTS = List.of(
            "",
            "The film was a joy.",
            "カードがまだ届いていません。",
            "🎉🎉 best day ever 🥳",
            "\ud83d\udc68\u200d\ud83d\udc69\u200d\ud83d\udc67\u200d\ud83d\udc66 and \ud83c\uddef\ud83c\uddf5",
            "  spaces , and . marks ' s n't  ",
            "line one\r\n\tline two\n\n",
            "a real \ufffd, and at the end \ufffd",
            "שלום नमस्ते e\u0301\u0323");

    @AfterAll
    static void close() {
        TINY.close();
        SMOLLM2.close();
    }

    private static long[] ids(Tokenizer tokenizer, String text) {
        return tokenizer.encode(text);
    }

    @Test
    void piecesOfATextAreTheText() {
        for (Tokenizer tokenizer : List.of(TINY, SMOLLM2)) {
            for (String text : TEXTS) {
                assertEquals(text, String.join("", pieces(tokenizer, ids(tokenizer, text))));
            }
        }
    }

    /** Also of bytes that are no text, and of special tokens, which have none. */
    @Test
    void piecesOfAnyTokensAreTheTextOfAll() {
        Random random = new Random(20261201);
        for (int run = 0; run < 3000; run++) {
            boolean tiny = run % 2 == 0;
            // Among the first tokens are the special ones and the single bytes.
            int most = tiny ? 512 : random.nextBoolean() ? 300 : 49_152;
            long[] ids = random.longs(random.nextInt(60), 0, most).toArray();
            Tokenizer tokenizer = tiny ? TINY : SMOLLM2;
            assertEquals(tokenizer.decode(ids), String.join("", pieces(tokenizer, ids)), () -> Arrays.toString(ids));
        }
    }

    private static List<String> pieces(Tokenizer tokenizer, long[] ids) {
        TextStream stream = new TextStream(tokenizer, List.of(), false, 0);
        List<String> pieces = new ArrayList<>();
        for (long id : ids) {
            pieces.add(stream.push(id));
        }
        pieces.add(stream.end());
        assertEquals("", stream.end());
        for (String piece : pieces) {
            assertFalse(Surrogates.hasHalf(piece));
        }
        return pieces;
    }

    /** The text of a token that is a whole character comes at once. */
    @Test
    void textComesWithItsToken() {
        long[] ids = ids(SMOLLM2, "The film was a joy.");
        List<String> pieces = pieces(SMOLLM2, ids);
        assertEquals(List.of("The", " film", " was", " a", " joy", ".", ""), pieces);
    }

    @Test
    void aCharacterComesWithItsLastToken() {
        long[] ids = ids(SMOLLM2, "🥳!");
        assertTrue(ids.length > 2);
        List<String> pieces = pieces(SMOLLM2, ids);
        assertEquals("🥳", pieces.get(ids.length - 2));
        assertEquals("!", pieces.get(ids.length - 1));
    }

    /** A window that grew with the answer would take minutes. */
    @Test
    @Timeout(20)
    void anAnswerWithoutTextTakesNoLongerForEachToken() {
        long half = ids(SMOLLM2, "🥳")[0];
        for (long id : new long[] {half, 0, 1}) {
            TextStream stream = new TextStream(SMOLLM2, List.of(), false, 0);
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < 5_000; i++) {
                text.append(stream.push(id));
            }
            text.append(stream.end());
            long[] all = new long[5_000];
            Arrays.fill(all, id);
            assertEquals(SMOLLM2.decode(all), text.toString());
        }
    }

    @Test
    void aStopTextEndsTheAnswerWhereverItsTokensBegin() {
        String text = "Hello 🎉 wörld. Bye カード.";
        for (Tokenizer tokenizer : List.of(TINY, SMOLLM2)) {
            int[] points = text.codePoints().toArray();
            for (int from = 0; from < points.length; from++) {
                for (int to = from + 1; to <= points.length; to++) {
                    String stop = new String(points, from, to - from);
                    int at = text.indexOf(stop);
                    assertEquals(text.substring(0, at), answer(tokenizer, text, false, stop));
                    assertEquals(text.substring(0, at + stop.length()), answer(tokenizer, text, true, stop));
                }
            }
        }
    }

    @Test
    void theStopTextThatEndsFirstCounts() {
        assertEquals("one ", answer(SMOLLM2, "one two three", false, "three", "two thr", "two"));
        assertEquals("o", answer(SMOLLM2, "one two three", false, "wo", "ne two"));
        assertEquals("aa", answer(SMOLLM2, "aaab", false, "ab", "aaaa"));
    }

    private static String answer(Tokenizer tokenizer, String text, boolean includeStop, String... stop) {
        TextStream stream = new TextStream(tokenizer, List.of(stop), includeStop, 0);
        StringBuilder answer = new StringBuilder();
        for (long id : ids(tokenizer, text + " and more")) {
            String piece = stream.push(id);
            assertFalse(Surrogates.hasHalf(piece));
            answer.append(piece);
        }
        assertTrue(stream.isStopped());
        assertEquals("", stream.end());
        return answer.toString();
    }

    @Test
    void whatMayBeginAStopTextIsHeldBack() {
        TextStream stream = new TextStream(SMOLLM2, List.of(" film noir", "was it"), false, 0);
        List<String> pieces = new ArrayList<>();
        for (long id : ids(SMOLLM2, "The film was a")) {
            pieces.add(stream.push(id));
        }
        assertEquals(List.of("The", "", " film ", "was a"), pieces);
        stream.push(ids(SMOLLM2, " film")[0]);
        assertEquals(" film", stream.end());
        assertFalse(stream.isStopped());
    }

    @Test
    void stopTextsInTheFirstTokensDoNotCount() {
        long[] ids = ids(SMOLLM2, "stop and stop here");
        for (int minTokens = 0; minTokens < 4; minTokens++) {
            TextStream stream = new TextStream(SMOLLM2, List.of("stop"), false, minTokens);
            StringBuilder answer = new StringBuilder();
            for (long id : ids) {
                answer.append(stream.push(id));
            }
            answer.append(stream.end());
            boolean first = minTokens < ids(SMOLLM2, "stop").length;
            assertEquals(first ? "" : minTokens < 3 ? "stop and " : "stop and stop here", answer.toString());
            assertEquals(first || minTokens < 3, stream.isStopped());
        }
    }

    @Test
    void aStopTextHasCharacters() {
        assertThrows(IllegalArgumentException.class, () -> new TextStream(TINY, List.of("a", ""), false, 0));
    }

    /** Beside the plain way: {@code indexOf} in the whole text. */
    @Test
    void anyStopTextsOfFewLettersAreFound() {
        Random random = new Random(7);
        for (int run = 0; run < 5000; run++) {
            String text = letters(random, 12);
            List<String> stops = new ArrayList<>();
            for (int i = 0; i <= random.nextInt(3); i++) {
                stops.add(letters(random, 4));
            }
            TextStream stream = new TextStream(TINY, stops, false, 0);
            StringBuilder answer = new StringBuilder();
            for (long id : ids(TINY, text)) {
                answer.append(stream.push(id));
            }
            answer.append(stream.end());
            assertEquals(cut(text, stops), answer.toString(), () -> text + stops);
        }
    }

    private static String letters(Random random, int most) {
        StringBuilder letters = new StringBuilder();
        for (int i = 0; i <= random.nextInt(most); i++) {
            letters.append("ab".charAt(random.nextInt(2)));
        }
        return letters.toString();
    }

    private static String cut(String text, List<String> stops) {
        for (int end = 1; end <= text.length(); end++) {
            String read = text.substring(0, end);
            int longest = stops.stream()
                    .filter(read::endsWith)
                    .mapToInt(String::length)
                    .max()
                    .orElse(0);
            if (longest > 0) {
                return text.substring(0, end - longest);
            }
        }
        return text;
    }
}
