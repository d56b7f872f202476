package io.softcall.inference.batching;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.softcall.inference.model.Prefix;
import java.util.Deque;
import java.util.List;
import org.junit.jupiter.api.Test;

class BatchSelectorTest {

    private static final Prefix PREFIX = new Requests.Bare(8);
    private static final int MANY = 1_000_000;
    private static final BatchSelector WIDE = new BatchSelector(1_000, 1_000, MANY);

    @Test
    void theInputWhoseTurnItIsComesFirst() {
        assertEquals(List.of(30), lengths(WIDE.select(List.of(List.of(of(30)), List.of(of(10))), 1)));
    }

    @Test
    void thoseNearestInLengthJoinIt() {
        assertEquals(
                List.of(30, 29, 33),
                lengths(WIDE.select(List.of(List.of(of(30)), List.of(of(80, 33)), List.of(of(5, 29))), 3)));
    }

    @Test
    void ofThoseEquallyNearTheEarlierTurnWins() {
        assertEquals(
                List.of(30, 28), lengths(WIDE.select(List.of(List.of(of(30)), List.of(of(28)), List.of(of(32))), 2)));
        assertEquals(
                List.of(30, 32), lengths(WIDE.select(List.of(List.of(of(30)), List.of(of(32)), List.of(of(28))), 2)));
    }

    @Test
    void prefixesOfAnotherLengthStayOut() {
        Deque<Input> longer = Requests.of("longer", new Requests.Bare(9), 30).waiting();
        assertEquals(
                List.of(30, 20), lengths(WIDE.select(List.of(List.of(of(30)), List.of(longer), List.of(of(20))), 9)));
    }

    /** Three inputs of 30 tokens take 90, and a fourth 120. */
    @Test
    void theTokensOfABatchAreBounded() {
        BatchSelector selector = new BatchSelector(119, 1_000, MANY);
        assertEquals(3, selector.select(List.of(List.of(of(30, 30, 30, 30))), 9).size());
        assertEquals(
                4,
                new BatchSelector(120, 1_000, MANY)
                        .select(List.of(List.of(of(30, 30, 30, 30))), 9)
                        .size());
    }

    /** A longer input stretches all others: 30 and 40 beside each other take 80. */
    @Test
    void aLongerInputCountsForAll() {
        assertEquals(List.of(30), lengths(new BatchSelector(79, 1_000, MANY).select(List.of(List.of(of(30, 40))), 9)));
        assertEquals(
                List.of(30, 40), lengths(new BatchSelector(80, 1_000, MANY).select(List.of(List.of(of(30, 40))), 9)));
    }

    @Test
    void anInputBeyondTheBoundIsComputedAlone() {
        assertEquals(List.of(500), lengths(new BatchSelector(100, 0, MANY).select(List.of(List.of(of(500, 500))), 9)));
    }

    @Test
    void thePaddingOfABatchIsBounded() {
        assertEquals(List.of(30), lengths(new BatchSelector(1_000, 9, MANY).select(List.of(List.of(of(30, 20))), 9)));
        assertEquals(
                List.of(30, 20), lengths(new BatchSelector(1_000, 10, MANY).select(List.of(List.of(of(30, 20))), 9)));
        // 40 - 30 for the first, 40 - 35 for the second.
        assertEquals(
                List.of(30, 35),
                lengths(new BatchSelector(1_000, 14, MANY).select(List.of(List.of(of(30, 35, 40))), 9)));
        assertEquals(
                List.of(30, 35, 40),
                lengths(new BatchSelector(1_000, 15, MANY).select(List.of(List.of(of(30, 35, 40))), 9)));
    }

    /** A batch copies or expands the prefix for each input, which would be gigabytes behind a thousand tokens. */
    @Test
    void theInputsBehindALongPrefixAreBounded() {
        Deque<Input> waiting =
                Requests.of("long", new Requests.Bare(1_000), 3, 3, 3, 3).waiting();
        assertEquals(
                3,
                new BatchSelector(1_000, 1_000, 3_999)
                        .select(List.of(List.of(waiting)), 9)
                        .size());
        assertEquals(
                4,
                new BatchSelector(1_000, 1_000, 4_000)
                        .select(List.of(List.of(waiting)), 9)
                        .size());
        assertEquals(
                1,
                new BatchSelector(1_000, 1_000, 999)
                        .select(List.of(List.of(waiting)), 9)
                        .size());
    }

    /** Tasks take turns; of each task first one input a request, then the rest, request by request. */
    @Test
    void turnsGoRoundTasksAndRequests() {
        List<List<Deque<Input>>> turns = List.of(List.of(of(11, 12, 13), of(21, 22)), List.of(of(31, 32)));
        BatchSelector oneLength = new BatchSelector(100_000, 100_000, MANY);
        // All are near enough: what decides who is taken is the distance from 11, and turns among equals.
        assertEquals(List.of(11, 12, 13, 21), lengths(oneLength.select(turns, 4)));
        List<List<Deque<Input>>> alike = List.of(List.of(of(10, 10, 10), of(10, 10)), List.of(of(10, 10)));
        List<Input> selected = oneLength.select(alike, 5);
        assertEquals(List.of("0.0.0", "1.0.0", "0.1.0", "1.0.1", "0.0.1"), places(alike, selected));
    }

    @Test
    void nothingIsTakenOut() {
        Deque<Input> waiting = of(30, 30);
        WIDE.select(List.of(List.of(waiting)), 9);
        assertEquals(2, waiting.size());
    }

    private static Deque<Input> of(int... lengths) {
        return Requests.of("task", PREFIX, lengths).waiting();
    }

    private static List<Integer> lengths(List<Input> batch) {
        return batch.stream().map(Input::tokens).toList();
    }

    /** Where each input waits: task, request, index. */
    private static List<String> places(List<List<Deque<Input>>> turns, List<Input> batch) {
        return batch.stream().map(input -> place(turns, input)).toList();
    }

    private static String place(List<List<Deque<Input>>> turns, Input input) {
        for (int task = 0; task < turns.size(); task++) {
            for (int request = 0; request < turns.get(task).size(); request++) {
                if (turns.get(task).get(request).contains(input)) {
                    return "%d.%d.%d".formatted(task, request, input.index());
                }
            }
        }
        return "nowhere";
    }
}
