package io.softcall.api.json;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeType;
import io.softcall.Nearest;
import io.softcall.SoftcallException;
import io.softcall.task.TaskName;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;

/**
 * The fields of a JSON object from a caller. A value of {@code null} counts as absent. Every method refuses a value with
 * {@code INVALID_REQUEST}, naming the field, its value and what is accepted.
 *
 * @param path what stands before a field's name in messages, for example {@code "messages[2]."}; empty at the top
 * @param object the JSON object
 */
public record Fields(String path, JsonNode object) {

    private static final String REQUEST_ID = "request_id";
    private static final int MAX_ID = 200;
    private static final int SHOWN = 60;

    /** @param example an object that would be accepted, for the message */
    public static Fields ofBody(JsonNode body, String example) {
        if (body == null || !body.isObject()) {
            throw SoftcallException.invalid("the body is %s, expected a JSON object %s", kind(body), example);
        }
        return new Fields("", body);
    }

    /** Refuses a field that is not known, naming the nearest one that is. */
    public void requireKnown(Set<String> known) {
        for (var field : object.properties()) {
            if (!known.contains(field.getKey())) {
                String name = shorten(field.getKey());
                throw SoftcallException.invalid(
                        "field \"%s%s\" is not known, the nearest is \"%s\"", path, name, Nearest.of(name, known));
            }
        }
    }

    /** Returns a field's value; a missing node if it is absent. */
    public JsonNode get(String name) {
        return object.path(name);
    }

    public boolean isGiven(String name) {
        return isGiven(get(name));
    }

    public static boolean isGiven(JsonNode value) {
        return !value.isMissingNode() && !value.isNull();
    }

    public boolean flag(String name, boolean otherwise) {
        JsonNode value = get(name);
        if (!isGiven(value)) {
            return otherwise;
        }
        if (!value.isBoolean()) {
            throw refused(name, "true or false");
        }
        return value.booleanValue();
    }

    public OptionalInt whole(String name, int least, int most) {
        JsonNode value = get(name);
        if (!isGiven(value)) {
            return OptionalInt.empty();
        }
        if (!value.isInt() || value.intValue() < least || value.intValue() > most) {
            throw refused(name, "a whole number from %d to %d".formatted(least, most));
        }
        return OptionalInt.of(value.intValue());
    }

    public OptionalDouble number(String name, double least, double most) {
        JsonNode value = get(name);
        if (!isGiven(value)) {
            return OptionalDouble.empty();
        }
        if (!isWithin(value, least, most)) {
            throw refused(name, "a number from %s to %s".formatted(decimal(least), decimal(most)));
        }
        return OptionalDouble.of(value.doubleValue());
    }

    /** Reads a number that is greater than 0. */
    public OptionalDouble positive(String name, double most) {
        JsonNode value = get(name);
        if (isGiven(value) && !(isWithin(value, 0, most) && value.doubleValue() > 0)) {
            throw refused(name, "a number greater than 0, at most %s".formatted(decimal(most)));
        }
        return number(name, 0, most);
    }

    private static boolean isWithin(JsonNode value, double least, double most) {
        return value.isNumber() && value.doubleValue() >= least && value.doubleValue() <= most;
    }

    /** Writes whole numbers without decimals. */
    private static String decimal(double number) {
        return number == Math.rint(number) ? Long.toString((long) number) : Double.toString(number);
    }

    /** Returns the task that the field {@code model} names. */
    public TaskName task() {
        JsonNode model = get("model");
        if (!model.isTextual()) {
            throw refused("model", "the name of a task");
        }
        return new TaskName(model.textValue());
    }

    /** Returns the caller's id of this request, which the answer repeats. */
    public Optional<String> requestId() {
        JsonNode id = get(REQUEST_ID);
        if (!isGiven(id)) {
            return Optional.empty();
        }
        if (!id.isTextual() || id.textValue().isEmpty() || id.textValue().length() > MAX_ID) {
            throw refused(REQUEST_ID, "a text of 1 to %d characters".formatted(MAX_ID));
        }
        return Optional.of(RequestJson.repeatable(REQUEST_ID, id.textValue()));
    }

    /** Returns the refusal of a field's value. */
    public SoftcallException refused(String name, String expected) {
        return SoftcallException.invalid("%s%s is %s, expected %s", path, name, kind(get(name)), expected);
    }

    /** Returns what a value is, without the content of texts. */
    public static String kind(JsonNode node) {
        return switch (node == null ? JsonNodeType.MISSING : node.getNodeType()) {
            case ARRAY -> "a list";
            case OBJECT, POJO -> "an object";
            case STRING -> "a text";
            case NUMBER -> "the number " + shorten(node.asText());
            case BOOLEAN -> node.asText();
            case NULL -> "null";
            case MISSING, BINARY -> "missing";
        };
    }

    public static String shorten(String value) {
        return value.length() <= SHOWN ? value : value.substring(0, SHOWN) + "...";
    }
}
