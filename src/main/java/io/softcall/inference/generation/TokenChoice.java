package io.softcall.inference.generation;

import io.softcall.inference.model.Bundle;
import io.softcall.inference.sampling.Sampled;
import java.util.List;
import java.util.Set;

/** Chooses the tokens of one answer: by the settings of its request, and within its choices if there are any. */
final class TokenChoice {

    private final Set<Integer> ends;
    private final int vocabulary;

    TokenChoice(Bundle bundle, RequestReader.Reading reading, int answer) {
        this.ends = reading.options().ignoreEos() ? Set.of() : Set.copyOf(bundle.eosTokenIds());
        this.vocabulary = bundle.vocabulary();
    }

    Sampled next(float[] logits, int offset) {
        int best = 0;
        for (int i = 1; i < vocabulary; i++) {
            best = logits[offset + i] > logits[offset + best] ? i : best;
        }
        return new Sampled(best, Double.NaN, List.of());
    }

    boolean isEnd(Sampled token) {
        return ends.contains(token.id());
    }

    /** Returns whether the answer is one of its choices, and cannot become another. */
    boolean isComplete() {
        return false;
    }
}
