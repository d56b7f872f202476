package io.softcall.inference.batching;

import io.softcall.inference.model.Prefix;
import io.softcall.task.TaskName;
import java.util.Arrays;
import java.util.Optional;

/** Requests that wait nowhere, for tests of what is done with them. */
final class Requests {

    private Requests() {}

    /** A prefix of some tokens, without memory. */
    static final class Bare extends Prefix {

        Bare(int tokens) {
            super(tokens, 0);
        }

        @Override
        protected void free() {}
    }

    /** A request of a caller with inputs of these lengths in tokens. */
    static QueuedRequest of(String task, Prefix prefix, int... lengths) {
        return of(task, prefix, true, lengths);
    }

    /** @param takesPlaces as for {@link QueuedRequest} */
    static QueuedRequest of(String task, Prefix prefix, boolean takesPlaces, int... lengths) {
        return new QueuedRequest(
                null,
                new TaskName(task),
                prefix,
                Arrays.stream(lengths).mapToObj(long[]::new).toList(),
                Long.MAX_VALUE,
                takesPlaces,
                Optional.empty());
    }
}
