package io.softcall.inference.batching;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Stream;

/**
 * Selects the inputs of the next batch: the one whose turn it is, and those nearest to it in length whose prefixes have the same
 * number of tokens, as far as the bounds allow.
 *
 * @param maxTokens padded tokens of one batch; a longer input is computed alone
 * @param maxPaddingTokens tokens of padding in one batch
 */
record BatchSelector(int maxTokens, int maxPaddingTokens) {

    /**
     * A pure function: nothing is taken out.
     *
     * @param turns waiting inputs by task and by request, each in the order of turns; at least one input
     * @param maxInputs of the batch, at least 1
     * @return at least one input, whose turn it is; then the others
     */
    List<Input> select(List<List<Deque<Input>>> turns, int maxInputs) {
        List<Input> inTurn = interleave(turns.stream().map(BatchSelector::inTurn));
        Input leader = inTurn.getFirst();
        // A stable sort: among equally near inputs, those whose turn comes earlier.
        List<Input> nearest = inTurn.stream()
                .filter(input -> input.request().prefix().tokens()
                        == leader.request().prefix().tokens())
                .sorted(Comparator.comparingInt(
                        input -> input == leader ? -1 : Math.abs(input.tokens() - leader.tokens())))
                .toList();
        List<Input> batch = new ArrayList<>();
        int longest = leader.tokens();
        long tokens = 0;
        for (Input input : nearest) {
            int stretched = Math.max(longest, input.tokens());
            long padded = (long) stretched * (batch.size() + 1);
            boolean fits = padded <= maxTokens && padded - tokens - input.tokens() <= maxPaddingTokens;
            if (batch.isEmpty() || fits && batch.size() < maxInputs) {
                batch.add(input);
                longest = stretched;
                tokens += input.tokens();
            }
        }
        return batch;
    }

    /**
     * The inputs of one task. First one of each request, so that a small request does not wait for a large one; then request by
     * request: a request is answered when its last input is computed, and only then its caller sends the next.
     */
    private static List<Input> inTurn(List<Deque<Input>> requests) {
        return Stream.concat(
                        requests.stream().map(Deque::getFirst),
                        requests.stream().flatMap(waiting -> waiting.stream().skip(1)))
                .toList();
    }

    /** One of each, in turn, for as long as there are any. */
    private static <T> List<T> interleave(Stream<? extends Collection<T>> parts) {
        Deque<Iterator<T>> turns = new ArrayDeque<>();
        parts.forEach(part -> turns.addLast(part.iterator()));
        List<T> mixed = new ArrayList<>();
        while (!turns.isEmpty()) {
            Iterator<T> turn = turns.removeFirst();
            if (turn.hasNext()) {
                mixed.add(turn.next());
                turns.addLast(turn);
            }
        }
        return mixed;
    }
}
