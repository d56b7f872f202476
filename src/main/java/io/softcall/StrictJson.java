package io.softcall;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.io.JsonEOFException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.exc.MismatchedInputException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads JSON from strangers: one value in UTF-8 (RFC 8259), no name twice in an object, bounded before anything is built from it. Its
 * messages say where the fault is, and repeat nothing of the document but the name of a field: texts stay out of logs and answers.
 *
 * <p>Jackson would guess UTF-16 or UTF-32 from zeros among the first bytes, and fail in ways of its own.
 */
public final class StrictJson {

    private static final char BYTE_ORDER_MARK = '\ufeff';

    private static final Pattern DUPLICATE = Pattern.compile("Duplicate field '(.*)'", Pattern.DOTALL);
    private static final int MAX_NAME = 60;

    /** The document is no JSON, or more than is accepted. */
    public static final class MalformedException extends Exception {

        private static final long serialVersionUID = 1L;

        private MalformedException(String message) {
            super(Printable.of(message));
        }
    }

    private final JsonMapper json;

    /**
     * @param maxDepth of lists and objects within each other
     * @param maxTokens brackets, names and values
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
                .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                .build();
    }

    /** @throws MalformedException with a message that continues "the body" or "the row" */
    public JsonNode read(byte[] utf8) throws MalformedException {
        return read(ByteBuffer.wrap(utf8));
    }

    /** The same for a part of an array. */
    public JsonNode read(ByteBuffer utf8) throws MalformedException {
        try {
            return read(StandardCharsets.UTF_8.newDecoder().decode(utf8).toString());
        } catch (CharacterCodingException e) {
            throw new MalformedException("is not UTF-8");
        }
    }

    /** The same for text that was decoded already. */
    public JsonNode read(String text) throws MalformedException {
        String document = !text.isEmpty() && text.charAt(0) == BYTE_ORDER_MARK ? text.substring(1) : text;
        JsonNode node;
        try {
            node = json.readTree(document);
        } catch (JsonProcessingException e) {
            throw new MalformedException("is not valid JSON: " + reason(e));
        }
        if (node.isMissingNode()) {
            throw new MalformedException("is empty, expected JSON");
        }
        return node;
    }

    private static String reason(JsonProcessingException e) {
        JsonLocation at = e.getLocation();
        String place = at == null ? "" : " at line %d, column %d".formatted(at.getLineNr(), at.getColumnNr());
        Matcher duplicate = DUPLICATE.matcher(e.getOriginalMessage());
        if (duplicate.find()) {
            return "the field \"%s\" stands in an object twice%s"
                    .formatted(Printable.of(duplicate.group(1), MAX_NAME), place);
        }
        return switch (e) {
            // Whose messages hold numbers alone.
            case StreamConstraintsException bound -> bound.getOriginalMessage();
            case JsonEOFException end -> "it ends too early" + place;
            case MismatchedInputException more -> "more follows behind its end" + place;
            default -> "it cannot be read on" + place;
        };
    }
}
