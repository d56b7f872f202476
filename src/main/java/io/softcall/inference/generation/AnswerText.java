package io.softcall.inference.generation;

import io.softcall.inference.generation.Generation.Finish;
import io.softcall.inference.generation.Generation.Piece;
import io.softcall.inference.generation.Generation.Token;
import io.softcall.inference.model.Tokenizer;
import io.softcall.inference.sampling.Sampled;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The text of one answer, on the thread of its caller. */
final class AnswerText {

    private final Answer answer;
    private final List<Token> tokens = new ArrayList<>();
    private boolean ended;

    AnswerText(Answer answer, Tokenizer tokenizer, RequestReader.Reading reading) {
        this.answer = answer;
    }

    Optional<Piece> add(Sampled token, Optional<Finish> last) {
        return Optional.of(new Piece(
                answer.index(), " " + token.id(), List.of(new Token(token.id(), Optional.empty(), List.of())), last));
    }

    Optional<Piece> end(Finish finish) {
        return Optional.of(new Piece(answer.index(), "", List.of(), Optional.of(finish)));
    }
}
