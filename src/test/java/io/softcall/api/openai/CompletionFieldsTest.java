package io.softcall.api.openai;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.generation.GenerationRequest;
import io.softcall.inference.generation.GenerationRequest.Options;
import io.softcall.inference.generation.GenerationRequest.Source;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every field of a request for completions is honoured, ignored, or refused by name with what is accepted. */
class CompletionFieldsTest {

    private static final RequestBounds BOUNDS = new RequestBounds(256, 1_000, 300);

    private static TextRequest parse(String body) {
        return CompletionFields.parse(body.getBytes(StandardCharsets.UTF_8), BOUNDS);
    }

    private static TextRequest with(String fields) {
        return parse("{\"model\": \"t\", \"prompt\": \"a\", %s}".formatted(fields));
    }

    private static Options options(String fields) {
        return with(fields).generation().options();
    }

    private static List<Source> sources(String prompt) {
        return parse("{\"model\": \"t\", \"prompt\": %s}".formatted(prompt))
                .generation()
                .sources();
    }

    private static SoftcallException refusal(String body) {
        return assertThrows(SoftcallException.class, () -> parse(body));
    }

    @Test
    void whatIsLeftOutStaysEmpty() {
        TextRequest request = parse("{\"model\": \"acme/notes\", \"prompt\": \"a\"}");
        GenerationRequest generation = request.generation();
        assertEquals("acme/notes", generation.task().value());
        assertEquals(List.of(new Source.Text("a")), generation.sources());
        assertEquals(1, generation.n());
        assertEquals(Options.NONE, generation.options());
        assertEquals(AnswerForm.COMPLETION, request.form());
        assertEquals(Optional.empty(), request.streaming());
        assertEquals(Optional.empty(), request.id());
    }

    @Test
    void everyOptionIsRead() {
        Options options = options("""
                "max_tokens": 5, "min_tokens": 2, "stop": ["x", "y"], "include_stop_str_in_output": true,
                "ignore_eos": true, "temperature": 0.5, "top_p": 0.25, "top_k": 3, "min_p": 0.125,
                "repetition_penalty": 1.5, "presence_penalty": -2, "frequency_penalty": 2,
                "logit_bias": {"7": -100, "299": 0.5}, "seed": -9, "logprobs": 3, "guided_choice": ["yes", "no"]
                """);
        assertEquals(
                new Options(
                        OptionalInt.of(5),
                        2,
                        Optional.of(List.of("x", "y")),
                        true,
                        true,
                        OptionalDouble.of(0.5),
                        OptionalDouble.of(0.25),
                        3,
                        0.125,
                        1.5,
                        -2,
                        2,
                        Map.of(7, -100f, 299, 0.5f),
                        OptionalLong.of(-9),
                        OptionalInt.of(3),
                        List.of("yes", "no")),
                options);
    }

    @Test
    void aPromptIsATextOrTokenIdsOrAListOfEither() {
        assertEquals(List.of(new Source.Text("a"), new Source.Text("b")), sources("[\"a\", \"b\"]"));
        assertArrayEquals(new long[] {0, 299}, ((Source.Ids) sources("[0, 299]").getFirst()).ids());
        List<Source> lists = sources("[[1], [2, 3]]");
        assertArrayEquals(new long[] {2, 3}, ((Source.Ids) lists.get(1)).ids());
    }

    @Test
    void aStreamMayTellTheNumbersOfTokens() {
        assertEquals(
                Optional.of(new TextRequest.Streaming(false)),
                with("\"stream\": true").streaming());
        assertEquals(
                Optional.of(new TextRequest.Streaming(true)),
                with("\"stream\": true, \"stream_options\": {\"include_usage\": true}")
                        .streaming());
    }

    @Test
    void oneStopTextNeedsNoListAndAnEmptyListMeansNone() {
        assertEquals(Optional.of(List.of("x")), options("\"stop\": \"x\"").stop());
        assertEquals(Optional.of(List.of()), options("\"stop\": []").stop());
    }

    @Test
    void allTokensAreDrawnFromWithTopKOfMinusOne() {
        assertEquals(0, options("\"top_k\": -1").topK());
    }

    @Test
    void choicesAreReadFromStructuredOutputs() {
        assertEquals(
                List.of("a", "b"),
                options("\"structured_outputs\": {\"choice\": [\"a\", \"b\"], \"json\": null}")
                        .choices());
    }

    @Test
    void theIdComesBack() {
        assertEquals(Optional.of("mine"), with("\"request_id\": \"mine\"").id());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\"user\": \"u\"",
                "\"metadata\": {\"a\": \"b\"}",
                "\"store\": false",
                "\"service_tier\": \"auto\"",
                "\"prompt_cache_key\": \"k\"",
                "\"safety_identifier\": \"s\"",
                "\"best_of\": 1",
                "\"echo\": false",
                "\"suffix\": null",
                "\"response_format\": {\"type\": \"text\"}",
                "\"use_beam_search\": false",
                "\"skip_special_tokens\": true",
                "\"logit_bias\": {}",
                "\"top_k\": null",
                "\"stream_options\": null",
                "\"priority\": 3"
            })
    void changesNothing(String fields) {
        assertEquals(Options.NONE, options(fields));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            "max_tokens": 0               | max_tokens is the number 0, expected a whole number from 1 to
            "max_tokens": 1.5             | max_tokens is the number 1.5
            "max_tokens": 99999999999     | max_tokens is the number 99999999999
            "max_tokens": "5"             | max_tokens is a text
            "max_token": 5                | field "max_token" is not known, the nearest is "max_tokens"
            "messages": []                | field "messages" is not known
            "max_completion_tokens": 3    | field "max_completion_tokens" is not known
            "min_tokens": -1              | min_tokens is the number -1
            "max_tokens": 2, "min_tokens": 3 | min_tokens is the number 3, expected at most max_tokens, which is 2
            "temperature": 2.1            | temperature is the number 2.1, expected a number from 0 to 2
            "temperature": -0.1           | temperature is the number -0.1
            "temperature": 1e999          | temperature is the number Infinity
            "temperature": true           | temperature is true
            "top_p": 0                    | top_p is the number 0, expected a number greater than 0, at most 1
            "top_p": 1.01                 | top_p is the number 1.01
            "top_k": -2                   | top_k is the number -2, expected a whole number from -1
            "min_p": 2                    | min_p is the number 2, expected a number from 0 to 1
            "repetition_penalty": 0       | repetition_penalty is the number 0, expected a number greater than 0
            "presence_penalty": 2.5       | presence_penalty is the number 2.5, expected a number from -2 to 2
            "frequency_penalty": -3       | frequency_penalty is the number -3
            "logit_bias": [1]             | logit_bias is a list, expected an object of at most 300 token ids
            "logit_bias": {"a": 1}        | logit_bias has "a", expected a token id from 0 to 299
            "logit_bias": {"300": 1}      | logit_bias has "300", expected a token id from 0 to 299
            "logit_bias": {"-1": 1}       | logit_bias has "-1"
            "logit_bias": {"1": 101}      | logit_bias.1 is the number 101, expected a number from -100 to 100
            "logit_bias": {"1": 1e999}    | logit_bias.1 is the number Infinity
            "logit_bias": {"1": null}     | logit_bias.1 is null
            "logit_bias": {"1": 1, "01": 2} | logit_bias has the token id 1 twice
            "seed": 1.5                   | seed is the number 1.5
            "seed": 9223372036854775808   | seed is the number 9223372036854775808
            "n": 0                        | n is the number 0, expected a whole number from 1 to 128
            "n": 129                      | n is the number 129
            "n": 2, "best_of": 3          | best_of is the number 3, expected null or the value of n, which is 2
            "stop": 7                     | stop is the number 7, expected a text or a list of up to 16 texts
            "stop": ""                    | stop is a text of 0, expected a text of 1 to 200 characters
            "stop": ["a", ""]             | stop[1] is a text of 0
            "stop": ["a", 7]              | stop[1] is the number 7
            "stop": "\\ud83d"             | stop has half of a surrogate pair
            "logprobs": 21                | logprobs is the number 21, expected a whole number from 0 to 20
            "logprobs": true              | logprobs is true
            "echo": true                  | echo is true, expected null or false
            "suffix": "x"                 | suffix is a text, expected null
            "store": true                 | store is true, expected null or false
            "response_format": {"type": "json_object"} | response_format is an object, expected null or {"type":"text"}
            "stop_token_ids": [1]         | stop_token_ids is a list, expected null or []
            "use_beam_search": true       | use_beam_search is true
            "guided_json": {}             | guided_json is an object, expected null
            "stream": "yes"               | stream is a text, expected true or false
            "stream_options": {}          | stream_options is an object, expected null, as stream is not true
            "stream": true, "stream_options": []  | stream_options is a list, expected an object
            "stream": true, "stream_options": {"usage": true} | field "stream_options.usage" is not known, the nearest is
            "stream": true, "stream_options": {"include_obfuscation": true} | stream_options.include_obfuscation is true
            "structured_outputs": {}      | structured_outputs.choice is missing, expected a list of 1 to 1000 texts
            "structured_outputs": {"json": {}} | structured_outputs.json is an object, expected null
            "structured_outputs": {"choices": []} | field "structured_outputs.choices" is not known
            "structured_outputs": {"choice": ["a"]}, "guided_choice": ["a"] | guided_choice is a list, expected null
            "guided_choice": []           | guided_choice is a list of 0
            "guided_choice": [""]         | guided_choice[0] is a text of 0
            "guided_choice": ["a", "a"]   | guided_choice[1] is "a" again, expected distinct texts
            "request_id": ""              | request_id is a text, expected a text of 1 to 200 characters
            """)
    void isRefusedByName(String fields, String message) {
        SoftcallException problem = assertThrows(SoftcallException.class, () -> with(fields));
        assertEquals(Reason.INVALID_REQUEST, problem.reason());
        assertTrue(problem.getMessage().contains(message), problem::getMessage);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            null              | prompt is null, expected a text, a list of texts, a list of token ids
            7                 | prompt is the number 7
            []                | prompt is a list
            {}                | prompt is an object
            [1, "a"]          | prompt[1] is a text, expected a token id from 0 to 299
            [1, 300]          | prompt[1] is the number 300
            [-1]              | prompt[0] is the number -1
            [1.5]             | prompt[0] is the number 1.5
            ["a", 1]          | prompt[1] is the number 1, expected a text or a list of token ids
            ["a", []]         | prompt[1] is an empty list
            [[1], [300]]      | prompt[1][0] is the number 300
            [null]            | prompt[0] is null
            """)
    void aPromptOfAnotherShapeIsRefused(String prompt, String message) {
        SoftcallException problem = assertThrows(SoftcallException.class, () -> sources(prompt));
        assertEquals(Reason.INVALID_REQUEST, problem.reason());
        assertTrue(problem.getMessage().contains(message), problem::getMessage);
    }

    @Test
    void theNumberOfAnswersHasABound() {
        String prompts = list(100, "\"a\"");
        String body = "{\"model\": \"t\", \"prompt\": %s, \"n\": %d}";
        assertEquals(200, parse(body.formatted(prompts, 2)).answers());
        assertEquals(
                "100 prompts with n = 3 ask for 300 answers, at most 256 are accepted (softcall.limits.texts)",
                refusal(body.formatted(prompts, 3)).getMessage());
        assertEquals(
                Reason.INVALID_REQUEST,
                refusal(body.formatted(list(257, "\"a\""), 1)).reason());
    }

    @Test
    void aTextHasABound() {
        SoftcallException problem =
                refusal("{\"model\": \"t\", \"prompt\": [\"a\", \"%s\"]}".formatted("x".repeat(1_001)));
        assertEquals(Reason.TEXT_TOO_LONG, problem.reason());
        assertEquals(
                "prompt[1] has 1001 characters, at most 1000 are accepted (softcall.limits.characters)",
                problem.getMessage());
    }

    @Test
    void stopTextsChoicesAndBiasesHaveBounds() {
        assertEquals(
                Reason.INVALID_REQUEST,
                assertThrows(SoftcallException.class, () -> options("\"stop\": " + list(10_000, "\"a\"")))
                        .reason());
        assertThrows(SoftcallException.class, () -> options("\"stop\": \"%s\"".formatted("x".repeat(201))));
        assertThrows(SoftcallException.class, () -> options("\"guided_choice\": " + list(1_001, "\"a\"")));
        assertThrows(
                SoftcallException.class, () -> options("\"guided_choice\": [\"%s\"]".formatted("x".repeat(1_001))));
        String biases = IntStream.rangeClosed(0, 300)
                .mapToObj("\"%d\": 1"::formatted)
                .collect(Collectors.joining(",", "{", "}"));
        SoftcallException problem = assertThrows(SoftcallException.class, () -> options("\"logit_bias\": " + biases));
        assertTrue(problem.getMessage().startsWith("logit_bias is an object of 301"), problem::getMessage);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            []                             | the body is a list, expected a JSON object {"model": ..., "prompt": ...}
            {"prompt": "a"}                | model is missing, expected the name of a task
            {"model": "../x", "prompt": "a"} | task name "../x"
            {"model": "t"}                 | prompt is missing
            {"model": "t", "model": "t"}   | the field "model" appears twice
            {                              | the body is not valid JSON
            """)
    void anotherBodyIsRefused(String body, String message) {
        assertTrue(refusal(body).getMessage().contains(message), () -> refusal(body)
                .getMessage());
    }

    private static String list(int size, String element) {
        return IntStream.range(0, size).mapToObj(i -> element).collect(Collectors.joining(",", "[", "]"));
    }
}
