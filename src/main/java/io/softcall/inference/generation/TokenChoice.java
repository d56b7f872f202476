package io.softcall.inference.generation;

import io.softcall.inference.model.Bundle;
import io.softcall.inference.sampling.Choices;
import io.softcall.inference.sampling.Permitted;
import io.softcall.inference.sampling.Sampled;
import io.softcall.inference.sampling.Sampler;
import io.softcall.inference.sampling.Workspace;
import java.util.Optional;

/** Chooses the tokens of one answer: by the settings of its request, and within its choices if there are any. */
final class TokenChoice {

    private final Sampler sampler;
    private final int[] ends;
    private final boolean ignoresEnds;
    private final int minTokens;
    private Optional<Choices.Position> position;
    private int chosen;

    /** @param answer the number of the answer among those to its source */
    TokenChoice(Bundle bundle, RequestReader.Reading reading, int answer) {
        this.sampler = new Sampler(reading.sampling().get(answer), reading.ids(), bundle.vocabulary());
        this.ends = bundle.eosTokenIds().stream().mapToInt(Integer::intValue).toArray();
        this.ignoresEnds = reading.options().ignoreEos();
        this.minTokens = reading.options().minTokens();
        this.position = reading.choices().map(Choices::start);
    }

    Sampled next(float[] logits, int offset, Workspace workspace) {
        Sampled token = sampler.next(logits, offset, permitted(), workspace);
        if (!isEnd(token)) {
            chosen++;
            position = position.map(before -> before.after(token.id()));
        }
        return token;
    }

    private Permitted permitted() {
        if (position.isPresent()) {
            return position.get().permitted(ends);
        }
        return chosen < minTokens && !ignoresEnds ? new Permitted.Except(ends) : Permitted.ALL;
    }

    /** Returns whether a token ends the answer, and is no part of it. */
    boolean isEnd(Sampled token) {
        if (ignoresEnds && position.isEmpty()) {
            return false;
        }
        for (int end : ends) {
            if (token.id() == end) {
                return position.isEmpty() || !position.get().continuesWith(end);
            }
        }
        return false;
    }

    /** Returns whether the answer is one of its choices, and cannot become another. */
    boolean isComplete() {
        return position.isPresent() && position.get().isEnd();
    }
}
