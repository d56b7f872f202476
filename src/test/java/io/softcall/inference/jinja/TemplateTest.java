package io.softcall.inference.jinja;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Templates are rendered, or refused, as transformers does. training-exporter/tests/make_chat_cases.py writes the cases. */
class TemplateTest {

    private static final Path RESOURCES = Path.of("src/test/resources");
    private static final Clock CLOCK = Clock.fixed(Instant.parse("2024-07-06T09:05:00Z"), ZoneOffset.UTC);

    @TestFactory
    List<DynamicTest> everySnippet() throws Exception {
        JsonNode cases = read("jinja-cases.json");
        List<DynamicTest> tests = new ArrayList<>();
        for (int i = 1; i < cases.size(); i++) {
            JsonNode one = cases.get(i);
            String template = one.path("template").asText();
            tests.add(DynamicTest.dynamicTest(
                    template, () -> check(one, template, cases.get(0).path("messages"))));
        }
        return tests;
    }

    @TestFactory
    List<DynamicTest> everyPublishedTemplate() throws Exception {
        List<DynamicTest> tests = new ArrayList<>();
        for (JsonNode one : read("chat-cases.json")) {
            String name = one.path("template").asText();
            String template =
                    Files.readString(RESOURCES.resolve("published-templates").resolve(name + ".jinja"));
            tests.add(DynamicTest.dynamicTest(
                    name + " " + one.path("messages"), () -> check(one, template, one.path("messages"))));
        }
        return tests;
    }

    /** The cases that Python is held to as well; training-exporter/tests/make_chat_templates.py writes them. */
    @TestFactory
    List<DynamicTest> everyGoldenConversation() throws Exception {
        List<DynamicTest> tests = new ArrayList<>();
        for (JsonNode one : read("chat-templates.json")) {
            Map<String, Object> variables = new HashMap<>();
            for (String token : List.of("bos_token", "eos_token")) {
                if (one.path(token).isTextual()) {
                    variables.put(token, one.path(token).asText());
                }
            }
            Template template = new Template(one.path("template").asText(), CLOCK);
            tests.add(DynamicTest.dynamicTest(one.path("name").asText(), () -> {
                if (one.has("rendered")) {
                    assertEquals(one.path("rendered").asText(), render(template, variables, one.path("messages")));
                } else {
                    assertTrue(assertThrows(
                                    TemplateException.class, () -> render(template, variables, one.path("messages")))
                            .isRaised());
                }
            }));
        }
        return tests;
    }

    private static JsonNode read(String name) throws Exception {
        return new JsonMapper().readTree(RESOURCES.resolve(name).toFile());
    }

    private static void check(JsonNode wanted, String template, JsonNode messages) {
        if (wanted.has("text")) {
            assertEquals(wanted.path("text").asText(), render(template, messages));
        } else {
            TemplateException e = assertThrows(TemplateException.class, () -> render(template, messages));
            if (e.isRaised()) {
                assertEquals(wanted.path("error").asText(), e.getMessage());
            }
        }
    }

    private static String render(String template, JsonNode messages) {
        return render(new Template(template, CLOCK), Map.of("bos_token", "<s>", "eos_token", "</s>"), messages);
    }

    private static String render(Template template, Map<String, Object> tokens, JsonNode messages) {
        Map<String, Object> variables = new HashMap<>(tokens);
        variables.put("messages", new JsonMapper().convertValue(messages, List.class));
        variables.put("add_generation_prompt", true);
        variables.put("tools", null);
        variables.put("documents", null);
        return template.render(variables);
    }

    @Test
    void anErrorTellsItsLine() {
        assertEquals(
                "line 3: 'x' is undefined",
                assertThrows(TemplateException.class, () -> render("a\nb\n{{ x.y }}"))
                        .getMessage());
        assertEquals(
                "line 2: found \"%}\", expected an expression",
                assertThrows(TemplateException.class, () -> render("a\n{% if %}"))
                        .getMessage());
    }

    /** Each would take minutes or gigabytes, or overflow the stack. */
    @TestFactory
    List<DynamicTest> everyTemplateEnds() {
        return List.of(
                        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
                        "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
                        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
                        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
                        "{% set n = namespace(x='x') %}{% for a in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
                        "{% set n = namespace(x=[1]) %}{% for a in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
                        "{% set n = namespace(x=[1]) %}{% for a in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
                        "{% set n = namespace(x=[1]) %}{% for a in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
                                + "{{ n.x | tojson }}",
                        "{% set n = namespace(x=[1]) %}{% for a in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
                                + "{% set m = namespace(x=[1]) %}{% for a in range(99) %}{% set m.x = [m.x, m.x] %}{% endfor %}"
                                + "{{ n.x == m.x }}",
                        "{{ 'x' * 999999999 }}",
                        "{{ range(999999999) }}",
                        "{{ ('x' * 9999).replace('', 'y' * 9999) }}",
                        "{{ ('x' * 9999).replace('x', 'y' * 9999) }}",
                        "{{ ('x' * 99999).split('x') }}",
                        "{% for a in range(9999) %}{{ range(9999) | select('in', range(9999) | list) | list | length }}{% endfor %}",
                        "{{ " + "(".repeat(9999) + ")".repeat(9999) + " }}",
                        "{{ " + "not ".repeat(50_000) + "x }}",
                        "{{ " + "-".repeat(50_000) + "1 }}",
                        "{{ 1" + "+1".repeat(50_000) + " }}",
                        "{{ x" + ".x".repeat(50_000) + " }}",
                        "{{ [" + "[".repeat(9999),
                        "{% if x %}".repeat(9999),
                        "{% if x %}" + "{% elif x %}".repeat(9999) + "{% endif %}",
                        "{{ '" + "\\\\".repeat(50_000),
                        "x".repeat(Template.MAX_LENGTH + 1))
                .stream()
                .map(template -> DynamicTest.dynamicTest(
                        template.substring(0, Math.min(120, template.length())),
                        () -> assertTimeout(
                                Duration.ofSeconds(10),
                                () -> assertThrows(TemplateException.class, () -> render(template)))))
                .toList();
    }

    private static String render(String template) {
        return new Template(template, CLOCK).render(Map.of());
    }

    @Test
    void aRaisedMessageIsToldFromAFault() {
        TemplateException raised =
                assertThrows(TemplateException.class, () -> render("{{ raise_exception('Only user') }}"));
        assertTrue(raised.isRaised());
        assertEquals("Only user", raised.getMessage());
        assertFalse(
                assertThrows(TemplateException.class, () -> render("{{ x.y }}")).isRaised());
    }
}
