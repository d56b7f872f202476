package io.softcall.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class TaskNameTest {

    private static final int MAX_LENGTH = 200;

    @Test
    void theLongestNameAndOneCharacterMore() {
        String longest = "a".repeat(MAX_LENGTH);
        assertEquals(longest, new TaskName(longest).value());
        String message = assertThrows(SoftcallException.class, () -> new TaskName(longest + "a"))
                .getMessage();
        assertTrue(message.contains("a...\" (201 characters)"), message);
    }

    @Test
    void aRefusalRepeatsAtMost60Characters() {
        String whole = "A".repeat(60);
        assertTrue(refusal(whole).startsWith("task name \"" + whole + "\": expected"), refusal(whole));
        assertTrue(refusal(whole + "A").startsWith("task name \"" + whole + "...\" (61 characters): expected"));
    }

    @Test
    void keysAndNames() {
        TaskName name = new TaskName("acme/intent");
        assertEquals("acme/intent/adapter_model.safetensors", name.key());
        assertEquals(name, TaskName.ofKey(name.key()));
        assertEquals(Optional.of(name), TaskName.find(name.key()));
        for (String other : List.of("acme/intent", "/adapter_model.safetensors", "A/adapter_model.safetensors", "")) {
            assertEquals(Optional.empty(), TaskName.find(other));
            assertThrows(SoftcallException.class, () -> TaskName.ofKey(other), other);
        }
    }

    @Test
    void namesAreInTheOrderOfTheirCharacters() {
        assertEquals(
                List.of("a", "a-b", "a/b", "b"),
                List.of(new TaskName("b"), new TaskName("a/b"), new TaskName("a-b"), new TaskName("a")).stream()
                        .sorted()
                        .map(TaskName::value)
                        .toList());
    }

    private static String refusal(String name) {
        return assertThrows(SoftcallException.class, () -> new TaskName(name)).getMessage();
    }
}
