package io.softcall.inference.generation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.task.TaskName;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Who gets the room for keys and values, and when. */
class KvRoomTest {

    private static final TaskName ONE = new TaskName("one");
    private static final TaskName OTHER = new TaskName("other");

    private final KvRoom room = new KvRoom(10);
    private final List<String> granted = new ArrayList<>();

    private KvRoom.Waiting take(TaskName task, long tokens, String name) {
        return room.take(task, tokens, () -> granted.add(name));
    }

    @Test
    void tasksTakeTurns() {
        take(ONE, 10, "first");
        take(ONE, 5, "second");
        take(ONE, 5, "third");
        take(OTHER, 5, "fourth");
        assertEquals(List.of("first"), granted);
        room.giveBack(10);
        assertEquals(List.of("first", "second", "fourth"), granted);
        assertEquals(10, room.taken());
    }

    /** Small ones do not overtake a large one for ever. */
    @Test
    void aLargeOneKeepsItsTurn() {
        take(ONE, 6, "first");
        take(ONE, 9, "large");
        take(OTHER, 1, "small");
        assertEquals(List.of("first"), granted);
        room.giveBack(6);
        assertEquals(List.of("first", "large", "small"), granted);
    }

    @Test
    void whoGivesUpWaitingHasTakenNothing() {
        KvRoom.Waiting first = take(ONE, 6, "first");
        KvRoom.Waiting second = take(ONE, 9, "second");
        take(OTHER, 4, "third");
        assertTrue(room.withdraw(second));
        assertFalse(room.withdraw(second));
        assertFalse(room.withdraw(first));
        assertEquals(List.of("first", "third"), granted);
        assertEquals(10, room.taken());
    }
}
