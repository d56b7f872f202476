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
 * Selects the inputs of the next batch. The input whose turn it is leads the batch. The inputs nearest to it in length join it,
 * if their prefixes have the same number of tokens and the bounds allow it.
 *
 * @param maxTokens the bound on the padded tokens of one batch; a longer input is computed alone
 * @param maxPaddingTokens the bound on the padding tokens of one batch
 * @param maxPrefixTokens the bound on the inputs of one batch times the tokens of their prefix; an input behind a longer prefix
 *     is computed alone
 */
record BatchSelector(int maxTokens, int maxPaddingTokens, int maxPrefixTokens) {

    /** Returns the same bounds with fewer tokens in a batch. */
    BatchSelector within(int tokens) {
        return new BatchSelector(Math.min(maxTokens, tokens), maxPaddingTokens, maxPrefixTokens);
    }

    /**
     * Selects inputs without removing them from the queue.
     *
     * @param turns waiting inputs by task and by request, both in the order of turns; at least one input
     * @param maxInputs the bound on the inputs of the batch, at least 1
     * @return the input whose turn it is, followed by those that join it
     */
    List<Input> select(List<List<Deque<Input>>> turns, int maxInputs) {
        List<Input> inTurn = interleave(turns.stream().map(BatchSelector::inTurn));
        Input leader = inTurn.getFirst();
        // The sort is stable, so among equally near inputs those with the earlier turn come first.
        List<Input> nearest = inTurn.stream()
                .filter(input -> input.prefixTokens() == leader.prefixTokens())
                .sorted(Comparator.comparingInt(
                        input -> input == leader ? -1 : Math.abs(input.tokens() - leader.tokens())))
                .toList();
        int most = Math.min(maxInputs, maxPrefixTokens / Math.max(1, leader.prefixTokens()));
        List<Input> batch = new ArrayList<>();
        int longest = leader.tokens();
        long tokens = 0;
        for (Input input : nearest) {
            int stretched = Math.max(longest, input.tokens());
            long padded = (long) stretched * (batch.size() + 1);
            boolean fits = padded <= maxTokens && padded - tokens - input.tokens() <= maxPaddingTokens;
            if (batch.isEmpty() || fits && batch.size() < most) {
                batch.add(input);
                longest = stretched;
                tokens += input.tokens();
            }
        }
        return batch;
    }

    /**
     * Returns the inputs of one task in order. The first input of each request comes first, so that a small request does not
     * wait for a large one. The remaining inputs follow request by request, because a caller sends its next request only after
     * the last input of this one was computed.
     */
    private static List<Input> inTurn(List<Deque<Input>> requests) {
        return Stream.concat(
                        requests.stream().map(Deque::getFirst),
                        requests.stream().flatMap(waiting -> waiting.stream().skip(1)))
                .toList();
    }

    /** Merges the parts in turn: the first elements of all parts, then the second ones, and so on. */
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
