package io.softcall.inference.sampling;

/** Which tokens may come next. */
public sealed interface Permitted {

    /** Every token. */
    Permitted ALL = new Except();

    /** All tokens but these. */
    record Except(int... ids) implements Permitted {}

    /** These tokens, at least one. */
    record Only(int... ids) implements Permitted {

        public Only {
            if (ids.length == 0) {
                throw new IllegalArgumentException("no token is permitted");
            }
        }
    }
}
