package io.softcall.inference.sampling;

import java.util.Arrays;
import java.util.List;
import java.util.SequencedMap;
import java.util.TreeMap;

/** Texts of which an answer is one, as a trie over their token ids. Immutable after its construction. */
public final class Choices {

    private final Node root = new Node();

    /**
     * @param texts the token ids of each text, at least one text, each with at least one token
     * @throws IllegalArgumentException if there is no text, or one without tokens
     */
    public Choices(List<long[]> texts) {
        if (texts.isEmpty()) {
            throw new IllegalArgumentException("choices: there is none");
        }
        for (long[] text : texts) {
            if (text.length == 0) {
                throw new IllegalArgumentException("choices: one has no tokens");
            }
            Node node = root;
            for (long id : text) {
                node = node.next.computeIfAbsent(Math.toIntExact(id), token -> new Node());
            }
            node.complete = true;
        }
    }

    private static final class Node {

        private final SequencedMap<Integer, Node> next = new TreeMap<>();
        private boolean complete;
    }

    /** Returns where every answer begins. */
    public Position start() {
        return new Position(root);
    }

    /** How far an answer has come. */
    public static final class Position {

        private final Node node;

        private Position(Node node) {
            this.node = node;
        }

        /** Returns whether the tokens so far are one of the texts, and no text continues them. */
        public boolean isEnd() {
            return node.next.isEmpty();
        }

        /**
         * Returns the tokens that may come next. Where the tokens so far are one of the texts, and the beginning of another, an
         * end token may come too.
         *
         * @param endIds the base's end tokens
         * @throws IllegalStateException at the end
         */
        public Permitted permitted(int... endIds) {
            if (isEnd()) {
                throw new IllegalStateException("the choice is complete");
            }
            int[] ids = Arrays.copyOf(
                    node.next.keySet().stream().mapToInt(Integer::intValue).toArray(),
                    node.next.size() + (node.complete ? endIds.length : 0));
            System.arraycopy(endIds, 0, ids, node.next.size(), ids.length - node.next.size());
            return new Permitted.Only(ids);
        }

        /** Returns whether a text continues with a token. */
        public boolean continuesWith(int id) {
            return node.next.containsKey(id);
        }

        /**
         * Returns the position behind a token.
         *
         * @throws IllegalArgumentException if no text continues with it
         */
        public Position after(int id) {
            Node next = node.next.get(id);
            if (next == null) {
                throw new IllegalArgumentException("no choice continues with token %d".formatted(id));
            }
            return new Position(next);
        }
    }
}
