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
    private final Tokenizer tokenizer;
    private final List<Token> tokens = new ArrayList<>();
    private final List<Long> ids = new ArrayList<>();
    private String sent = "";
    private boolean over;

    AnswerText(Answer answer, Tokenizer tokenizer, RequestReader.Reading reading) {
        this.answer = answer;
        this.tokenizer = tokenizer;
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
        ids.add((long) token.id());
        String all = tokenizer.decode(ids.stream().mapToLong(Long::longValue).toArray());
        String more = all.substring(sent.length());
        sent = all;
        return last.isPresent() || !more.isEmpty() ? Optional.of(piece(more, last)) : Optional.empty();
    }

    private Token token(Sampled token) {
        return new Token(token.id(), Optional.empty(), List.of());
    }

    /** Ends the text, unless it has ended before. */
    Optional<Piece> end(Finish finish) {
        return over ? Optional.empty() : Optional.of(piece("", Optional.of(finish)));
    }

    private Piece piece(String text, Optional<Finish> finish) {
        Piece piece = new Piece(answer.index(), text, tokens, finish);
        tokens.clear();
        over = finish.isPresent();
        return piece;
    }
}
