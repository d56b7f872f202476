package io.softcall.inference.jinja;

import java.util.Collection;
import java.util.Map;

/** What a rendering may cost, so that every template ends. */
final class Budget {

    /** The bound on the rendered text, and on every text that is made on the way, in characters. */
    static final int MAX_TEXT = 1 << 20;

    private static final int MAX_STEPS = 2_000_000;
    private static final int MAX_ITEMS = 10_000;
    private static final long MAX_NANOS = 1_000_000_000;
    private static final int MAX_CALLS = 50;
    /** So many characters cost a step. */
    private static final int CHARACTERS = 64;

    private final long start = System.nanoTime();
    private int steps;
    private int calls;

    /** Counts a step of the rendering. */
    void step() {
        charge(1);
    }

    /** Counts the making or reading of a value. */
    Object made(Object value) {
        switch (value) {
            case String text -> {
                if (text.length() > MAX_TEXT) {
                    throw TemplateException.of("a text has more than %d characters", MAX_TEXT);
                }
                charge(text.length() / CHARACTERS);
            }
            case Collection<?> list -> charge(bounded(list.size()));
            case Map<?, ?> map -> charge(bounded(map.size()));
            case null, default -> {}
        }
        return value;
    }

    private static int bounded(int items) {
        if (items > MAX_ITEMS) {
            throw TemplateException.of("a list has more than %d items", MAX_ITEMS);
        }
        return items;
    }

    private void charge(int more) {
        steps += more;
        if (steps > MAX_STEPS) {
            throw TemplateException.of("it takes more than %d steps", MAX_STEPS);
        }
        // A step may take long: a filter, for example, compares each item with each other one.
        if ((steps & 0xff) <= more && System.nanoTime() - start > MAX_NANOS) {
            throw TemplateException.of("it takes longer than %d ms", MAX_NANOS / 1_000_000);
        }
    }

    void enterCall() {
        if (++calls > MAX_CALLS) {
            throw TemplateException.of("macros call each other more than %d deep", MAX_CALLS);
        }
    }

    void leaveCall() {
        calls--;
    }
}
