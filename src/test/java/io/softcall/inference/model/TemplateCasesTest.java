package io.softcall.inference.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.SoftcallException;
import io.softcall.Tiny;
import io.softcall.task.Template;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Java and Python turn every case of the shared fixture into the same ids. */
class TemplateCasesTest {

    private static final Path SMOLLM2 =
            Path.of("training-exporter/src/softcall/graphs/SmolLM2-135M-Instruct-Q4_1/tokenizer.json");

    /** @param ids null if the template alone is longer than the limit */
    private record Case(String tokenizer, String template, List<String> texts, Integer limit, long[] ids) {}

    @Test
    void everyCase() throws Exception {
        List<Case> cases = new JsonMapper()
                .readValue(Path.of("src/test/resources/template-cases.json").toFile(), new TypeReference<>() {});
        assertTrue(cases.size() > 500);
        try (Tokenizer tiny = new Tokenizer(Tiny.BASE.resolve("tokenizer.json"));
                Tokenizer smollm2 = new Tokenizer(SMOLLM2)) {
            Map<String, Tokenizer> tokenizers = Map.of("tiny", tiny, "smollm2", smollm2);
            for (Case one : cases) {
                Tokenizer tokenizer = tokenizers.get(one.tokenizer());
                Template template = new Template(one.template());
                int limit = one.limit() == null ? Integer.MAX_VALUE : one.limit();
                if (one.ids() == null) {
                    assertThrows(
                            SoftcallException.class,
                            () -> tokenizer.encode(template, one.texts(), limit, true),
                            one::toString);
                } else {
                    assertArrayEquals(one.ids(), tokenizer.encode(template, one.texts(), limit, true), one::toString);
                }
            }
        }
    }
}
