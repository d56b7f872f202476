package io.softcall.task;

import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/** What a task does with a text, and everything that it needs for that besides its prompt. */
public sealed interface Kind {

    /** Estimates the bytes that this takes on the Java heap. */
    long heapBytes();

    /** The task chooses labels for a text. */
    sealed interface Classification extends Kind {

        Template template();

        LabelHead head();

        /** Returns the divisor of the logits before they become probabilities; greater than 0. */
        double temperature();
    }

    /**
     * One label for a text: the one with the highest logit. Probabilities are a softmax.
     *
     * @param abstainThreshold the probability that this label must reach; otherwise the answer has no label
     */
    record OneLabel(Template template, LabelHead head, double temperature, OptionalDouble abstainThreshold)
            implements Classification {

        @Override
        public long heapBytes() {
            return template.heapBytes() + head.heapBytes();
        }
    }

    /**
     * Any number of labels for a text. Probabilities are sigmoids.
     *
     * @param thresholds [labels]: the probability that each label must reach; must not be changed afterwards
     */
    record MultiLabel(Template template, LabelHead head, double temperature, double[] thresholds)
            implements Classification {

        public MultiLabel {
            if (thresholds.length != head.labels().size()) {
                throw new IllegalArgumentException("%d thresholds for %d labels"
                        .formatted(thresholds.length, head.labels().size()));
            }
        }

        @Override
        public long heapBytes() {
            return template.heapBytes() + head.heapBytes() + (long) Double.BYTES * thresholds.length;
        }
    }

    /**
     * The task writes text.
     *
     * @param template the template of completions, with one text; empty if the task takes no completions
     * @param chat whether the task takes chats, for which the base has a template
     * @param defaults what a request may leave out
     */
    record Generation(Optional<Template> template, boolean chat, Defaults defaults) implements Kind {

        @Override
        public long heapBytes() {
            return template.map(Template::heapBytes).orElse(0L)
                    + defaults.stop().stream()
                            .mapToLong(text -> 2L * text.length())
                            .sum();
        }
    }

    /**
     * A task's own defaults of generation. Where they are empty, those of OpenAI hold.
     *
     * @param maxTokens the bound on new tokens
     * @param stop texts that end an answer, and are not part of it
     * @param temperature the divisor of the logits; 0: the most probable token
     * @param topP the probability that the tokens to draw from have together
     */
    record Defaults(OptionalInt maxTokens, List<String> stop, OptionalDouble temperature, OptionalDouble topP) {

        public Defaults {
            stop = List.copyOf(stop);
        }
    }
}
