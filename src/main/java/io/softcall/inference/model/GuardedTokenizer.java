package io.softcall.inference.model;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Turns a text into token ids of which parts are foreign: there, the strings of special tokens are text like any other.
 *
 * <p>It is the base's tokenizer with other strings for the added tokens, which nobody can know. Foreign parts are guarded first.
 * Then the text gets those strings in place of its own added tokens. So one encoding of the whole text gives the ids that the
 * base's tokenizer would give if it could tell the parts from each other.
 */
public final class GuardedTokenizer implements AutoCloseable {

    /** The secret has 6 bits in each of its characters, which are those for private use. */
    private static final int SECRET_LENGTH = 22;

    private static final char PRIVATE = '\ue000';
    private static final char OWN = '\ue100';
    private static final char FOREIGN = '\ue101';
    private static final int MAX_ADDED_TOKENS = 0x400;
    private static final char FIRST_INDEX = '\ue200';

    /** An added token, which is found in a text before all others. */
    private record Added(long id, String text, boolean special) {}

    private final HuggingFaceTokenizer tokenizer;
    private final List<Added> added;
    private final Map<String, Integer> indexes = new HashMap<>();
    /** The ids of added tokens, by those that they have in this tokenizer. */
    private final Map<Long, Long> ids = new HashMap<>();
    /** Special tokens that are in the vocabulary as well, where plain text could reach them. */
    private final Set<Long> reachable = new HashSet<>();

    private final String secret;
    private final Pattern addedTexts;
    private final Pattern specialTexts;
    private final Pattern guards;

    /** @throws IllegalArgumentException if the file cannot be read, or its added tokens cannot be told from text */
    public GuardedTokenizer(Path file) {
        secret = new SecureRandom()
                .ints(SECRET_LENGTH, 0, 64)
                .mapToObj(bits -> Character.toString(PRIVATE + bits))
                .collect(Collectors.joining());
        ObjectNode json = read(file);
        added = added(json, file);
        IntStream.range(0, added.size()).forEach(i -> indexes.put(added.get(i).text(), i));
        addedTexts = anyOf(added.stream().map(Added::text).toList());
        specialTexts =
                anyOf(added.stream().filter(Added::special).map(Added::text).toList());
        guards = Pattern.compile(Pattern.quote(secret + FOREIGN) + "(.)");
        rename(json);
        tokenizer = open(json, file);
        try {
            learnIds(json, file);
        } catch (RuntimeException e) {
            tokenizer.close();
            throw e;
        }
    }

    private static ObjectNode read(Path file) {
        try {
            if (new JsonMapper().readTree(file.toFile()) instanceof ObjectNode json) {
                return json;
            }
            throw new IllegalArgumentException("the tokenizer %s is not an object".formatted(file));
        } catch (IOException e) {
            throw new IllegalArgumentException(
                    "the tokenizer %s cannot be read: %s".formatted(file, e.getMessage()), e);
        }
    }

    private static List<Added> added(JsonNode json, Path file) {
        List<Added> added = new ArrayList<>();
        for (JsonNode token : json.path("added_tokens")) {
            added.add(new Added(
                    token.path("id").asLong(),
                    token.path("content").asText(),
                    token.path("special").asBoolean()));
        }
        if (added.size() > MAX_ADDED_TOKENS
                || added.stream().anyMatch(token -> token.text().isEmpty())) {
            throw new IllegalArgumentException(
                    "the tokenizer %s has %d added tokens; at most %d are accepted, none empty"
                            .formatted(file, added.size(), MAX_ADDED_TOKENS));
        }
        return added;
    }

    /** Returns a pattern of texts; among several at one place it finds the longest, as the tokenizer does. */
    private static Pattern anyOf(List<String> texts) {
        if (texts.isEmpty()) {
            return Pattern.compile("(?!)");
        }
        // The look-ahead skips most characters without trying every text.
        String firsts = texts.stream()
                .map(text -> Pattern.quote(text.substring(0, text.offsetByCodePoints(0, 1))))
                .distinct()
                .collect(Collectors.joining("|"));
        String all = texts.stream()
                .sorted(Comparator.comparingInt(String::length).reversed())
                .map(Pattern::quote)
                .collect(Collectors.joining("|"));
        return Pattern.compile("(?=" + firsts + ")(?:" + all + ")");
    }

    private void rename(ObjectNode json) {
        for (int i = 0; i < added.size(); i++) {
            ((ObjectNode) json.path("added_tokens").path(i)).put("content", own(i));
        }
        json.putNull("truncation");
        json.putNull("padding");
    }

    private String own(int index) {
        return secret + OWN + index(index);
    }

    private static char index(int index) {
        return (char) (FIRST_INDEX + index);
    }

    private static HuggingFaceTokenizer open(ObjectNode json, Path file) {
        Tokenizer.configureLibrary();
        try {
            return HuggingFaceTokenizer.newInstance(
                    new ByteArrayInputStream(new JsonMapper().writeValueAsBytes(json)),
                    Map.of("addSpecialTokens", "false", "truncation", "false", "padding", "false"));
        } catch (IOException | RuntimeException e) {
            throw new IllegalArgumentException(
                    "the tokenizer %s cannot be opened: %s".formatted(file, e.getMessage()), e);
        }
    }

    private void learnIds(ObjectNode json, Path file) {
        JsonNode model = json.path("model");
        String unknown = model.path("unk_token").asText("");
        for (int i = 0; i < added.size(); i++) {
            long[] own = Tokenizer.encode(tokenizer, own(i));
            if (own.length != 1 || ids.put(own[0], added.get(i).id()) != null) {
                throw new IllegalArgumentException("the tokenizer %s does not keep its added token %s apart from text"
                        .formatted(file, added.get(i).text()));
            }
            boolean known = model.path("vocab").isArray()
                    ? added.get(i).id() < model.path("vocab").size()
                    : model.path("vocab").has(added.get(i).text());
            boolean isUnknown = added.get(i).text().equals(unknown)
                    || model.path("unk_id").asLong(-1) == added.get(i).id();
            if (known && added.get(i).special() && !isUnknown) {
                reachable.add(added.get(i).id());
            }
        }
    }

    /** Returns a foreign text as it can be a part of one that is {@link #encode encoded}. */
    public String guard(String foreign) {
        return specialTexts.matcher(foreign).replaceAll(match -> secret + FOREIGN + index(indexes.get(match.group())));
    }

    /** Returns a text with its foreign parts as they were. */
    public String unguard(String text) {
        return guards.matcher(text)
                .replaceAll(match -> Matcher.quoteReplacement(
                        added.get(match.group(1).charAt(0) - FIRST_INDEX).text()));
    }

    /**
     * Returns the token ids of a text with guarded parts.
     *
     * @throws IllegalArgumentException if the base's tokenizer makes a special token of plain text
     */
    public long[] encode(String guarded) {
        String own = addedTexts.matcher(guarded).replaceAll(match -> own(indexes.get(match.group())));
        long[] encoded = Tokenizer.encode(tokenizer, unguard(own));
        for (int i = 0; i < encoded.length; i++) {
            if (reachable.contains(encoded[i])) {
                throw new IllegalArgumentException(
                        "the text holds the special token with the id %d".formatted(encoded[i]));
            }
            encoded[i] = ids.getOrDefault(encoded[i], encoded[i]);
        }
        return encoded;
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
