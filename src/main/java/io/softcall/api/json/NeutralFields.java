package io.softcall.api.json;

import java.util.List;
import java.util.Map;

/**
 * Known fields that would change the answer in a way that Softcall does not support. They are accepted with values that
 * change nothing.
 *
 * @param accepted the accepted values of each field as JSON; {@code null} is accepted for all of them
 */
public record NeutralFields(Map<String, List<String>> accepted) {

    /** @throws io.softcall.SoftcallException {@code INVALID_REQUEST} if a field has another value */
    public void check(Fields fields) {
        for (var field : fields.object().properties()) {
            List<String> values = accepted.get(field.getKey());
            if (values != null
                    && Fields.isGiven(field.getValue())
                    && !values.contains(field.getValue().toString())) {
                throw fields.refused(
                        field.getKey(), values.isEmpty() ? "null" : "null or " + String.join(" or ", values));
            }
        }
    }
}
