package io.softcall.api.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.generation.GenerationRequest.Options;
import io.softcall.inference.generation.GenerationRequest.Source;
import io.softcall.inference.text.ChatMessage;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The fields of a chat; {@link CompletionFieldsTest} tests those that completions have, too. */
class ChatFieldsTest {

    private static final RequestBounds BOUNDS = new RequestBounds(16, 1_000, 300);

    private static TextRequest parse(String messages, String fields) {
        return ChatFields.parse(
                "{\"model\": \"t\", \"messages\": %s%s}"
                        .formatted(messages, fields)
                        .getBytes(StandardCharsets.UTF_8),
                BOUNDS);
    }

    private static TextRequest with(String fields) {
        return parse("[{\"role\": \"user\", \"content\": \"a\"}]", ", " + fields);
    }

    private static List<ChatMessage> messages(String messages) {
        Source source = parse(messages, "").generation().sources().getFirst();
        return ((Source.Chat) source).messages();
    }

    private static Options options(String fields) {
        return with(fields).generation().options();
    }

    @Test
    void developersSpeakAsSystem() {
        assertEquals(
                List.of(
                        new ChatMessage("system", "s"),
                        new ChatMessage("system", "d"),
                        new ChatMessage("user", "u"),
                        new ChatMessage("assistant", "")),
                messages("""
                        [{"role": "system", "content": "s"}, {"role": "developer", "content": "d"},
                         {"role": "user", "content": "u"}, {"role": "assistant", "content": ""}]
                        """));
    }

    @Test
    void partsBecomeLines() {
        assertEquals(List.of(new ChatMessage("user", "a\nb")), messages("""
                        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
                        """));
    }

    @Test
    void anAnswerMayBeRepeatedAsItCame() {
        assertEquals(List.of(new ChatMessage("assistant", "a")), messages("""
                        [{"role": "assistant", "content": "a", "refusal": null, "annotations": [], "audio": null,
                          "function_call": null, "tool_calls": null}]
                        """));
    }

    @Test
    void theBoundOnTokensHasTwoNames() {
        assertEquals(OptionalInt.of(5), options("\"max_completion_tokens\": 5").maxTokens());
        assertEquals(OptionalInt.of(5), options("\"max_tokens\": 5").maxTokens());
        assertEquals(
                OptionalInt.of(5),
                options("\"max_tokens\": 5, \"max_completion_tokens\": 5").maxTokens());
    }

    @Test
    void logprobsAreASwitchAndANumber() {
        assertEquals(OptionalInt.of(0), options("\"logprobs\": true").topLogprobs());
        assertEquals(
                OptionalInt.of(2),
                options("\"logprobs\": true, \"top_logprobs\": 2").topLogprobs());
        assertEquals(OptionalInt.empty(), options("\"logprobs\": false").topLogprobs());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\"tools\": []",
                "\"tool_choice\": \"none\"",
                "\"function_call\": \"none\"",
                "\"modalities\": [\"text\"]",
                "\"parallel_tool_calls\": true",
                "\"reasoning_effort\": null",
                "\"response_format\": {\"type\": \"text\"}",
                "\"chat_template_kwargs\": {}",
                "\"add_generation_prompt\": true"
            })
    void changesNothing(String fields) {
        assertEquals(Options.NONE, options(fields));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            "prompt": "x"                    | field "prompt" is not known
            "tools": [{}]                    | tools is a list, expected null or []
            "tool_choice": "auto"            | tool_choice is a text, expected null or "none"
            "functions": [{}]                | functions is a list
            "modalities": ["audio"]          | modalities is a list, expected null or ["text"]
            "audio": {}                      | audio is an object, expected null
            "prediction": {}                 | prediction is an object
            "web_search_options": {}         | web_search_options is an object
            "reasoning_effort": "low"        | reasoning_effort is a text, expected null
            "top_logprobs": 2                | top_logprobs is the number 2, expected null, as logprobs is not true
            "logprobs": true, "top_logprobs": 21 | top_logprobs is the number 21
            "logprobs": 1                    | logprobs is the number 1, expected true or false
            "max_tokens": 1, "max_completion_tokens": 2 | max_tokens is the number 1, expected null or the value of
            "n": 17                          | 1 prompts with n = 17 ask for 17 answers, at most 16
            """)
    void isRefusedByName(String fields, String message) {
        SoftcallException problem = assertThrows(SoftcallException.class, () -> with(fields));
        assertEquals(Reason.INVALID_REQUEST, problem.reason());
        assertTrue(problem.getMessage().contains(message), problem::getMessage);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            null                                   | messages is null, expected a list of messages
            []                                     | messages is an empty list
            ["a"]                                  | messages[0] is a text, expected an object
            [{"role": "tool", "content": "a"}]     | messages[0].role is "tool", expected system, developer, user
            [{"content": "a"}]                     | messages[0].role is ""
            [{"role": "user"}]                     | messages[0].content is missing, expected a text or a list of parts
            [{"role": "user", "content": null}]    | messages[0].content is null
            [{"role": "user", "content": []}]      | messages[0].content is a list
            [{"role": "user", "content": ["a"]}]   | messages[0].content[0] is a text, expected a part
            [{"role": "user", "content": [{"type": "image_url"}]}] | messages[0].content[0].type is "image_url"
            [{"role": "user", "content": [{"type": "text"}]}] | messages[0].content[0].text is missing
            [{"role": "user", "content": "a", "name": "b"}] | messages[0].name is a text, expected null
            [{"role": "user", "content": "a", "nam": "b"}] | field "messages[0].nam" is not known, the nearest is "name"
            [{"role": "assistant", "content": "a", "tool_calls": [{}]}] | messages[0].tool_calls is a list
            """)
    void aMessageOfAnotherShapeIsRefused(String messages, String message) {
        SoftcallException problem = assertThrows(SoftcallException.class, () -> messages(messages));
        assertEquals(Reason.INVALID_REQUEST, problem.reason());
        assertTrue(problem.getMessage().contains(message), problem::getMessage);
    }

    @Test
    void allMessagesTogetherHaveABound() {
        String half = "{\"role\": \"user\", \"content\": \"%s\"}".formatted("x".repeat(501));
        SoftcallException problem =
                assertThrows(SoftcallException.class, () -> messages("[%s, %s]".formatted(half, half)));
        assertEquals(Reason.TEXT_TOO_LONG, problem.reason());
        assertTrue(problem.getMessage().startsWith("messages has 1002 characters"), problem::getMessage);
    }
}
