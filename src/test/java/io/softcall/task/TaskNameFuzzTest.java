package io.softcall.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.softcall.FuzzTexts;
import io.softcall.Reasons;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Any requested name is a valid key of every store, or is refused. */
class TaskNameFuzzTest {

    private static final Path ROOT = Path.of("/store");

    @FuzzTest
    void name(byte[] text) {
        String value = FuzzTexts.of(text).getFirst();
        Optional<TaskName> name = Reasons.unlessRefused(() -> new TaskName(value));
        assertEquals(name, TaskName.find(value + TaskName.OBJECT));
        assertTrue(TaskName.find(value).isEmpty() || value.endsWith(TaskName.OBJECT));
        if (name.isPresent()) {
            String key = name.get().key();
            assertEquals(name.get(), TaskName.ofKey(key));
            assertEquals(key, ROOT.relativize(ROOT.resolve(key).normalize()).toString());
            assertTrue(key.chars().allMatch(unit -> unit > ' ' && unit < 0x7f), key);
            assertTrue(new TaskPatterns(List.of(value, "x*")).fit(name.get()));
        }
    }
}
