package io.softcall.inference.generation;

import io.softcall.inference.generation.Generation.Finish;
import io.softcall.inference.generation.Generation.Piece;
import io.softcall.inference.generation.Generation.Score;
import io.softcall.inference.generation.Generation.Token;
import io.softcall.inference.generation.GenerationRequest.Options;
import io.softcall.inference.model.Tokenizer;
import io.softcall.inference.sampling.Sampled;
import io.softcall.inference.text.TextStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The text of one answer, on the thread of its caller. */
final class AnswerText {

    private final Answer answer;
    private final Tokenizer tokenizer;
    private final TextStream stream;
    private final boolean scored;
    private final List<Token> tokens = new ArrayList<>();
    private boolean over;

    AnswerText(Answer answer, Tokenizer tokenizer, RequestReader.Reading reading) {
        Options options = reading.options();
        this.answer = answer;
        this.tokenizer = tokenizer;
        this.stream = new TextStream(tokenizer, reading.stop(), options.includeStop(), options.minTokens());
        this.scored = options.topLogprobs().isPresent();
    }

    /**
     * Takes the next token.
     *
     * @param last why it is the last one; empty if others follow
     * @return what is certain of the text now; empty if nothing is, or if the text has ended before
     */
    Optional<Piece> add(Sampled token, Optional<Finish> last) {
        if (over) {
            return Optional.empty();
        }
        tokens.add(token(token));
        String text = stream.push(token.id());
        if (stream.isStopped()) {
            answer.cancel();
            return Optional.of(piece(text, Optional.of(Finish.STOP)));
        }
        if (last.isPresent()) {
            return Optional.of(piece(text + stream.end(), last));
        }
        return text.isEmpty() ? Optional.empty() : Optional.of(piece(text, last));
    }

    /** Ends the text behind an end token, unless it has ended before. */
    Optional<Piece> end() {
        return over ? Optional.empty() : Optional.of(piece(stream.end(), Optional.of(Finish.STOP)));
    }

    private Piece piece(String text, Optional<Finish> finish) {
        Piece piece = new Piece(answer.index(), text, tokens, finish);
        tokens.clear();
        over = finish.isPresent();
        return piece;
    }

    private Token token(Sampled token) {
        return new Token(
                token.id(),
                scored ? Optional.of(score(token.id(), token.logprob())) : Optional.empty(),
                token.top().stream()
                        .map(each -> score(each.id(), each.logprob()))
                        .toList());
    }

    private Score score(int id, double logprob) {
        byte[] bytes = tokenizer.vocabulary().bytes(id);
        return new Score(id, tokenizer.vocabulary().text(id), bytes, logprob);
    }
}
