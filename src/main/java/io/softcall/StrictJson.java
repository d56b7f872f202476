package io.softcall;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.io.JsonEOFException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads untrusted JSON: one value in UTF-8 (RFC 8259) without duplicate names in an object. Its size is bounded before
 * anything is built from it. Error messages say where the fault is. They repeat nothing of the document except a
 * field's name, so that texts stay out of logs and answers.
 *
 * <p>Plain Jackson would take zeros among the first bytes for UTF-16 or UTF-32, and then fail with other errors.
 */
public final class StrictJson {

    private static final char BYTE_ORDER_MARK = '\ufeff';

    private static final Pattern DUPLICATE = Pattern.compile("Duplicate field '(.*)'", Pattern.DOTALL);
    private static final int MAX_NAME = 60;

    /** The document is not JSON, or exceeds a bound. */
    public static final class MalformedException extends Exception {

        private static final long serialVersionUID = 1L;

        private MalformedException(String message) {
            super(Printable.of(message));
        }
    }

    private final JsonMapper json;

    /**
     * @param maxDepth limit of nested lists and objects
     * @param maxTokens limit of brackets, names and values together
     */
    public StrictJson(int maxDepth, long maxTokens) {
        json = JsonMapper.builder(JsonFactory.builder()
                        .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                        .streamReadConstraints(StreamReadConstraints.builder()
                                .maxNestingDepth(maxDepth)
                                .maxTokenCount(maxTokens)
                                .maxStringLength(Integer.MAX_VALUE)
                                .build())
                        .build())
                .build();
    }

    /**
     * Reads the needed parts of a document, so that nothing else is built.
     *
     * @param <T> the type of the result
     */
    @FunctionalInterface
    public interface Taking<T> {

        /**
         * @param document is at the first token of its only value, and must be at that value's last token afterwards
         */
        T take(JsonParser document) throws IOException;
    }

    /** @throws MalformedException with a message that continues a phrase such as "the body" or "the row" */
    public JsonNode read(byte[] utf8) throws MalformedException {
        return read(ByteBuffer.wrap(utf8));
    }

    /** Reads a part of an array, as {@link #read(byte[])} does. */
    public JsonNode read(ByteBuffer utf8) throws MalformedException {
        return read(utf8, JsonParser::readValueAsTree);
    }

    /** Reads text that is already decoded, as {@link #read(byte[])} does. */
    public JsonNode read(String text) throws MalformedException {
        return read(text, JsonParser::readValueAsTree);
    }

    /** Reads the needed parts of a document, with the same checks as {@link #read(byte[])}. */
    public <T> T read(ByteBuffer utf8, Taking<T> taking) throws MalformedException {
        try {
            return read(StandardCharsets.UTF_8.newDecoder().decode(utf8).toString(), taking);
        } catch (CharacterCodingException e) {
            throw new MalformedException("is not UTF-8");
        }
    }

    private <T> T read(String text, Taking<T> taking) throws MalformedException {
        String document = !text.isEmpty() && text.charAt(0) == BYTE_ORDER_MARK ? text.substring(1) : text;
        try (JsonParser parser = json.createParser(document)) {
            if (parser.nextToken() == null) {
                throw new MalformedException("is empty, expected JSON");
            }
            T taken = taking.take(parser);
            if (parser.nextToken() != null) {
                throw new MalformedException(
                        "is not valid JSON: more text follows its end" + place(parser.currentTokenLocation()));
            }
            return taken;
        } catch (JsonProcessingException e) {
            throw new MalformedException("is not valid JSON: " + reason(e));
        } catch (IOException e) {
            throw new UncheckedIOException("reading from a string needs no input", e);
        }
    }

    private static String place(JsonLocation at) {
        return at == null ? "" : " at line %d, column %d".formatted(at.getLineNr(), at.getColumnNr());
    }

    private static String reason(JsonProcessingException e) {
        String place = place(e.getLocation());
        Matcher duplicate = DUPLICATE.matcher(e.getOriginalMessage());
        if (duplicate.find()) {
            return "the field \"%s\" appears twice in an object%s"
                    .formatted(Printable.of(duplicate.group(1), MAX_NAME), place);
        }
        return switch (e) {
            // Its messages contain only numbers.
            case StreamConstraintsException bound -> bound.getOriginalMessage();
            case JsonEOFException end -> "it ends too early" + place;
            default -> "it cannot be parsed" + place;
        };
    }
}
