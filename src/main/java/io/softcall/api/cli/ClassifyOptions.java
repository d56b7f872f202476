package io.softcall.api.cli;

import io.softcall.SoftcallException;
import io.softcall.task.TaskName;
import java.util.Iterator;
import java.util.List;
import java.util.OptionalInt;

/**
 * The options of {@code classify}.
 *
 * @param scores whether answers contain the probability of every label
 * @param truncate maximum number of tokens, to which texts are cut; empty when long texts are refused
 */
record ClassifyOptions(TaskName task, boolean scores, OptionalInt truncate) {

    static final String USAGE =
            "classify --task TASK [--scores] [--truncate TOKENS] < lines.txt (--truncate -1: as many tokens as are accepted)";

    /** @throws SoftcallException {@code INVALID_REQUEST}, with the usage, when the options are wrong */
    static ClassifyOptions parse(String... arguments) {
        TaskName task = null;
        boolean scores = false;
        OptionalInt truncate = OptionalInt.empty();
        for (Iterator<String> rest = List.of(arguments).iterator(); rest.hasNext(); ) {
            String option = rest.next();
            switch (option) {
                case "--task" -> task = new TaskName(value(option, rest));
                case "--scores" -> scores = true;
                case "--truncate" -> truncate = OptionalInt.of(tokens(value(option, rest)));
                default -> throw SoftcallException.invalid("option \"%s\" is not known, expected %s", option, USAGE);
            }
        }
        if (task == null) {
            throw SoftcallException.invalid("no task is named, expected %s", USAGE);
        }
        return new ClassifyOptions(task, scores, truncate);
    }

    private static String value(String option, Iterator<String> rest) {
        if (!rest.hasNext()) {
            throw SoftcallException.invalid("%s has no value, expected %s", option, USAGE);
        }
        return rest.next();
    }

    private static int tokens(String value) {
        if (!value.matches("-1|[1-9][0-9]{0,5}")) {
            throw SoftcallException.invalid("--truncate is \"%s\", expected a number of tokens, or -1", value);
        }
        return value.equals("-1") ? Integer.MAX_VALUE : Integer.parseInt(value);
    }
}
