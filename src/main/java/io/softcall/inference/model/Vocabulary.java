package io.softcall.inference.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The tokens of a {@code tokenizer.json}, each with the UTF-8 bytes that it stands for. */
public final class Vocabulary {

    private static final byte[] NO_BYTES = {};
    private static final int BYTES = 256;
    private static final byte[] BYTE_OF = bytesOfCharacters();

    private static final Pattern BYTE = Pattern.compile("<0x([0-9A-F]{2})>");
    private static final char SPACE_MARK = '\u2581';

    /** The bytes of each id; null where there is no token. */
    private final byte[][] bytes;

    private Vocabulary(byte[][] bytes) {
        this.bytes = bytes;
    }

    /** How a vocabulary writes bytes. */
    private enum Form {
        /** Each byte is one character (Radford et al. 2019, GPT-2). */
        BYTE_LEVEL,
        /** U+2581 is a space, and tokens such as {@code <0x0A>} are single bytes (SentencePiece). */
        SENTENCE_PIECE
    }

    /** @throws IllegalArgumentException if the file cannot be read */
    static Vocabulary read(Path file) {
        try {
            JsonNode json = new JsonMapper().readTree(file.toFile());
            Map<Integer, byte[]> found = new HashMap<>();
            Form form = has(json.path("decoder"), "ByteLevel") ? Form.BYTE_LEVEL : Form.SENTENCE_PIECE;
            for (Token token : tokens(json.path("model").path("vocab"))) {
                found.put(token.id(), form == Form.BYTE_LEVEL ? byteLevel(token.text()) : sentencePiece(token.text()));
            }
            for (JsonNode added : json.path("added_tokens")) {
                found.put(
                        added.path("id").asInt(), added.path("content").asText().getBytes(StandardCharsets.UTF_8));
            }
            int size = found.keySet().stream().mapToInt(id -> id + 1).max().orElse(0);
            byte[][] bytes = new byte[size][];
            found.forEach((id, value) -> bytes[id] = value);
            return new Vocabulary(bytes);
        } catch (IOException e) {
            throw new IllegalArgumentException(
                    "the tokenizer %s cannot be read: %s".formatted(file, e.getMessage()), e);
        }
    }

    /** Returns whether a decoder is of a type, or one of its parts is. */
    private static boolean has(JsonNode decoder, String type) {
        if (decoder.path("type").asText().equals(type)) {
            return true;
        }
        for (JsonNode part : decoder.path("decoders")) {
            if (has(part, type)) {
                return true;
            }
        }
        return false;
    }

    private record Token(int id, String text) {}

    /** Reads the tokens of a model: an object with ids, or, for Unigram, an array of tokens with scores. */
    private static List<Token> tokens(JsonNode vocabulary) {
        List<Token> tokens = new ArrayList<>();
        if (vocabulary.isArray()) {
            for (int id = 0; id < vocabulary.size(); id++) {
                tokens.add(new Token(id, vocabulary.path(id).path(0).asText()));
            }
        } else {
            vocabulary.forEachEntry((text, id) -> tokens.add(new Token(id.asInt(), text)));
        }
        return tokens;
    }

    /** Returns the byte of each character of a byte-level vocabulary. */
    private static byte[] bytesOfCharacters() {
        byte[] bytes = new byte[2 * BYTES];
        int substitute = BYTES;
        for (int value = 0; value < BYTES; value++) {
            bytes[isOwn(value) ? value : substitute++] = (byte) value;
        }
        return bytes;
    }

    /** @throws IllegalArgumentException if a character stands for no byte */
    private static byte[] byteLevel(String token) {
        byte[] bytes = new byte[token.length()];
        for (int i = 0; i < bytes.length; i++) {
            if (token.charAt(i) >= BYTE_OF.length) {
                throw new IllegalArgumentException("the token %s is not byte-level".formatted(token));
            }
            bytes[i] = BYTE_OF[token.charAt(i)];
        }
        return bytes;
    }

    /** Returns whether a byte's character is that of Latin-1; the others have characters from U+0100 on. */
    private static boolean isOwn(int value) {
        return value >= '!' && value <= '~' || value >= 0xa1 && value <= 0xac || value >= 0xae && value <= 0xff;
    }

    private static byte[] sentencePiece(String token) {
        Matcher single = BYTE.matcher(token);
        return single.matches()
                ? new byte[] {(byte) Integer.parseInt(single.group(1), 16)}
                : token.replace(SPACE_MARK, ' ').getBytes(StandardCharsets.UTF_8);
    }

    /** Returns the UTF-8 bytes of a token, which may be a part of a character; none if there is no such token. */
    public byte[] bytes(int id) {
        return Optional.ofNullable(id >= 0 && id < bytes.length ? bytes[id] : null)
                .orElse(NO_BYTES)
                .clone();
    }

    /** Returns the text of a token. U+FFFD stands for bytes that are only a part of a character. */
    public String text(int id) {
        return new String(bytes(id), StandardCharsets.UTF_8);
    }
}
