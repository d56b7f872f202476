package io.softcall.inference.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.Tiny;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The text and the bytes of single tokens, beside the library's decoding. */
class VocabularyTest {

    private static final Path SMOLLM2 =
            Path.of("training-exporter/src/softcall/graphs/SmolLM2-135M-Instruct-Q4_1/tokenizer.json");

    /** Also without the spaces before punctuation that DJL could clean up. */
    @Test
    void tokensTogetherHaveTheTextOfPython() throws Exception {
        record Decoded(String tokenizer, long[] ids, String text) {}
        List<Decoded> cases = new JsonMapper()
                .readValue(Path.of("src/test/resources/decoded.json").toFile(), new TypeReference<>() {});
        assertEquals(86, cases.size());
        try (Tokenizer smollm2 = new Tokenizer(SMOLLM2);
                Tokenizer tiny = new Tokenizer(Tiny.BASE.resolve("tokenizer.json"))) {
            for (Decoded one : cases) {
                assertEquals(one.text(), (one.tokenizer().equals("tiny") ? tiny : smollm2).decode(one.ids()));
            }
        }
    }

    @Test
    void theTextOfATokenIsThatOfTheLibrary() {
        for (Path file : new Path[] {SMOLLM2, Tiny.BASE.resolve("tokenizer.json")}) {
            try (Tokenizer tokenizer = new Tokenizer(file)) {
                Vocabulary vocabulary = tokenizer.vocabulary();
                for (int id = 0; id < 50_000; id++) {
                    String decoded = tokenizer.decode(id);
                    if (!decoded.isEmpty()) {
                        assertEquals(decoded, vocabulary.text(id));
                    }
                }
            }
        }
    }

    @Test
    void theBytesOfTokensTogetherAreThoseOfTheText() {
        String text = "naïve 🎉 カード\n\t\u0001 e\u0301";
        try (Tokenizer tokenizer = new Tokenizer(SMOLLM2)) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            for (long id : tokenizer.encode(text)) {
                bytes.writeBytes(tokenizer.vocabulary().bytes((int) id));
            }
            assertEquals(text, bytes.toString(StandardCharsets.UTF_8));
        }
    }

    @Test
    void aSpecialTokenIsItsOwnText() {
        try (Tokenizer tokenizer = new Tokenizer(SMOLLM2)) {
            assertEquals("<|im_end|>", tokenizer.vocabulary().text(2));
            assertEquals("", tokenizer.decode(2));
        }
    }

    @Test
    void anIdWithoutATokenHasNoBytes() {
        try (Tokenizer tokenizer = new Tokenizer(SMOLLM2)) {
            for (int id : new int[] {-1, 49_152, Integer.MAX_VALUE}) {
                assertArrayEquals(new byte[0], tokenizer.vocabulary().bytes(id));
            }
        }
    }

    @Test
    void aSentencePieceVocabularyHasSpacesAndBytes(@TempDir Path folder) throws Exception {
        Path file = folder.resolve("tokenizer.json");
        Files.writeString(file, """
                {"added_tokens": [{"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                  "normalized": false, "special": true}],
                 "decoder": {"type": "Sequence", "decoders": [
                   {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                   {"type": "ByteFallback"}, {"type": "Fuse"}]},
                 "model": {"type": "BPE", "byte_fallback": true, "merges": [],
                   "vocab": {"<s>": 0, "<0xE3>": 1, "<0x0A>": 2, "▁a": 3, "▁": 4}}}
                """);
        try (Tokenizer tokenizer = new Tokenizer(file)) {
            Vocabulary vocabulary = tokenizer.vocabulary();
            assertArrayEquals(new byte[] {(byte) 0xe3}, vocabulary.bytes(1));
            assertEquals("\ufffd", vocabulary.text(1));
            assertEquals("\n", vocabulary.text(2));
            assertEquals(" a", vocabulary.text(3));
            assertEquals(" ", vocabulary.text(4));
        }
    }

    @Test
    void bytesAreCopies() {
        try (Tokenizer tokenizer = new Tokenizer(SMOLLM2)) {
            int id = 1_000;
            byte[] bytes = tokenizer.vocabulary().bytes(id);
            bytes[0] ^= 1;
            assertEquals(bytes[0] ^ 1, tokenizer.vocabulary().bytes(id)[0]);
        }
    }
}
