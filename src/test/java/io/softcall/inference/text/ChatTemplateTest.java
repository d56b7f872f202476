package io.softcall.inference.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Chats become the token ids of transformers, and nobody but the template writes special tokens. */
class ChatTemplateTest {

    private static final Path RESOURCES = Path.of("src/test/resources");
    private static final String SMOLLM2 = "SmolLM2-135M-Instruct";
    private static final Path TOKENIZER =
            Path.of("training-exporter/src/softcall/graphs/SmolLM2-135M-Instruct-Q4_1/tokenizer.json");
    private static final long IM_START = 1;
    private static final long IM_END = 2;
    private static final int SPECIAL_TOKENS = 17;

    private static ChatTemplate open(String template) {
        return chat(template, TOKENIZER);
    }

    private static ChatTemplate chat(String template, Path tokenizer) {
        return new ChatTemplate(
                template, Optional.of("<|im_start|>"), Optional.of("<|im_end|>"), tokenizer, Clock.systemUTC());
    }

    private static ChatTemplate smollm2() throws Exception {
        return open(Files.readString(RESOURCES.resolve("published-templates").resolve(SMOLLM2 + ".jinja")));
    }

    private static List<ChatMessage> user(String content) {
        return List.of(new ChatMessage("user", content));
    }

    @Test
    void theIdsAreThoseOfTransformers() throws Exception {
        int compared = 0;
        try (ChatTemplate template = smollm2()) {
            for (JsonNode one : new JsonMapper()
                    .readTree(RESOURCES.resolve("chat-cases.json").toFile())) {
                if (!one.path("template").asText().equals(SMOLLM2)) {
                    continue;
                }
                List<ChatMessage> messages = new ArrayList<>();
                one.path("messages")
                        .forEach(message -> messages.add(new ChatMessage(
                                message.path("role").asText(),
                                message.path("content").asText())));
                long[] ids = new JsonMapper().treeToValue(one.path("ids"), long[].class);
                assertArrayEquals(ids, template.encode(messages), messages::toString);
                compared++;
            }
        }
        assertEquals(15, compared);
    }

    /** A turn has one token that begins it, and one that ends it, whatever the messages are. */
    @Test
    void nobodyForgesATurn() throws Exception {
        List<String> parts = List.of(
                "<|im_start|>",
                "<|im_end|>",
                "<|endoftext|>",
                "<|im_",
                "end|>",
                "<|",
                "|>",
                "system",
                "\n",
                " ",
                "<",
                "<repo_name>",
                "\ue000\ue100\ue200",
                "{{ '<|im_end|>' }}",
                "日本");
        Random random = new Random(20261201);
        try (ChatTemplate template = smollm2()) {
            for (int run = 0; run < 2000; run++) {
                StringBuilder content = new StringBuilder();
                for (int i = random.nextInt(8); i > 0; i--) {
                    content.append(parts.get(random.nextInt(parts.size())));
                }
                long[] ids = template.encode(
                        List.of(new ChatMessage("system", "Be brief."), new ChatMessage("user", content.toString())));
                assertEquals(3, Arrays.stream(ids).filter(id -> id == IM_START).count(), content::toString);
                assertEquals(2, Arrays.stream(ids).filter(id -> id == IM_END).count(), content::toString);
                assertEquals(
                        5, Arrays.stream(ids).filter(id -> id < SPECIAL_TOKENS).count(), content::toString);
            }
        }
    }

    @Test
    void theTemplatesRefusalIsTheCallersFault() {
        String template = "{% for m in messages %}{{ raise_exception('No ' + m.content) }}{% endfor %}";
        try (ChatTemplate chat = open(template)) {
            SoftcallException e = assertThrows(SoftcallException.class, () -> chat.encode(user("a <|im_end|> b")));
            assertEquals(Reason.INVALID_REQUEST, e.reason());
            assertEquals("messages: the base's chat template refuses them: No a <|im_end|> b", e.publicMessage());
        }
    }

    @Test
    void aFaultyTemplateIsTheBasesFault() {
        for (String template :
                List.of("{{ missing.attribute }}", "{% for i in range(9999) %}{{ 'x' * 999 }}{% endfor %}")) {
            try (ChatTemplate chat = open(template)) {
                SoftcallException e = assertThrows(SoftcallException.class, () -> chat.encode(user("Hello")));
                assertEquals(Reason.BASE_UNAVAILABLE, e.reason());
                assertTrue(e.getMessage().contains("chat_template.jinja cannot be used: line 1: "), e::getMessage);
            }
        }
        SoftcallException e = assertThrows(SoftcallException.class, () -> open("{% if %}"));
        assertEquals(Reason.BASE_UNAVAILABLE, e.reason());
    }

    @Test
    void aTokenizerThatCannotBeReadIsTheBasesFault(@TempDir Path folder) throws Exception {
        Path file = folder.resolve("tokenizer.json");
        for (String json : List.of("[]", "{}", "not JSON", "{\"added_tokens\": [{\"id\": 1, \"content\": \"\"}]}")) {
            Files.writeString(file, json);
            SoftcallException e = assertThrows(SoftcallException.class, () -> chat("", file));
            assertEquals(Reason.BASE_UNAVAILABLE, e.reason());
        }
    }

    /** The options of an added token are the tokenizer's to keep: this one takes the white space around it. */
    @Test
    void addedTokensKeepTheirOptions(@TempDir Path folder) throws Exception {
        ObjectNode json = (ObjectNode) new JsonMapper().readTree(TOKENIZER.toFile());
        ((ObjectNode) json.path("added_tokens").path(2)).put("rstrip", true).put("lstrip", true);
        Path file = folder.resolve("tokenizer.json");
        new JsonMapper().writeValue(file.toFile(), json);
        String template = "{{ messages[0].content }}  <|im_end|>\n\n";
        try (ChatTemplate chat = chat(template + "a", file)) {
            long[] ids = chat.encode(user("a"));
            assertEquals(3, ids.length);
            assertEquals(IM_END, ids[1]);
            assertEquals(ids[0], ids[2]);
        }
    }

    /** A token that is added, but not special, such as {@code <think>}, may be in a message, as in transformers. */
    @Test
    void otherAddedTokensAreFoundInMessages(@TempDir Path folder) throws Exception {
        ObjectNode json = (ObjectNode) new JsonMapper().readTree(TOKENIZER.toFile());
        ((ObjectNode) json.path("added_tokens").path(5)).put("special", false).put("content", "<think>");
        ((ObjectNode) json.path("added_tokens").path(5)).put("id", 49_152);
        Path file = folder.resolve("tokenizer.json");
        new JsonMapper().writeValue(file.toFile(), json);
        try (ChatTemplate chat = chat("{{ messages[0].content }}", file)) {
            assertArrayEquals(new long[] {49_152}, chat.encode(user("<think>")));
        }
    }

    @Test
    void severalThreadsUseOneTemplate() throws Exception {
        try (ChatTemplate template = smollm2()) {
            long[] alone = template.encode(user("Hello <|im_end|>"));
            List<Thread> threads = new ArrayList<>();
            List<long[]> wrong = Collections.synchronizedList(new ArrayList<>());
            for (int i = 0; i < 8; i++) {
                threads.add(Thread.ofPlatform().start(() -> {
                    for (int run = 0; run < 200; run++) {
                        long[] ids = template.encode(user("Hello <|im_end|>"));
                        if (!Arrays.equals(alone, ids)) {
                            wrong.add(ids);
                        }
                    }
                }));
            }
            for (Thread thread : threads) {
                thread.join();
            }
            assertEquals(List.of(), wrong);
        }
    }
}
