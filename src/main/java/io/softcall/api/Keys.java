package io.softcall.api;

import io.softcall.Sha256;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.task.TaskName;
import io.softcall.task.TaskPatterns;
import jakarta.inject.Singleton;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/** API keys. The server knows only their hashes. */
@Singleton
public class Keys {

    private static final String BEARER = "Bearer ";

    private record Key(byte[] sha256, Caller caller) {}

    /**
     * A caller, and the tasks that it may call.
     *
     * @param patterns task names; a trailing {@code *} matches any rest
     * @param admin whether the caller is an operator, and also sees details for operators
     */
    public record Caller(String name, List<String> patterns, boolean admin) {

        boolean mayCall(TaskName task) {
            return new TaskPatterns(patterns).fit(task);
        }

        /** @throws SoftcallException {@code FORBIDDEN} when this caller may not call the task */
        public void require(TaskName task) {
            if (!mayCall(task)) {
                throw new SoftcallException(
                        Reason.FORBIDDEN, "API key \"%s\" may not call task \"%s\"".formatted(name, task));
            }
        }

        /** @throws SoftcallException {@code FORBIDDEN} when this caller is no operator */
        public void requireAdmin() {
            if (!admin) {
                throw new SoftcallException(
                        Reason.FORBIDDEN,
                        "API key \"%s\" has no admin rights (softcall.http.keys.NAME.admin)".formatted(name));
            }
        }

        /**
         * Requires the right to call all tasks, as jobs do: their rows may name any task.
         *
         * @throws SoftcallException {@code FORBIDDEN} when this caller may not call all tasks
         */
        public void requireAll() {
            if (!patterns.contains("*")) {
                throw new SoftcallException(
                        Reason.FORBIDDEN, "API key \"%s\" may not call all tasks, as jobs require".formatted(name));
            }
        }
    }

    private static final Caller ANYBODY = new Caller("none", List.of("*"), true);

    private final List<Key> keys = new ArrayList<>();

    Keys(HttpConfig config) {
        config.keys()
                .forEach((name, key) -> keys.add(
                        new Key(HexFormat.of().parseHex(key.sha256()), new Caller(name, key.tasks(), key.admin()))));
    }

    /**
     * Returns the caller that sent this {@code Authorization} header.
     *
     * @throws SoftcallException {@code UNAUTHENTICATED} when keys are configured and the header contains none of them
     */
    public Caller caller(Optional<String> authorization) {
        if (keys.isEmpty()) {
            return ANYBODY;
        }
        String token = authorization
                .filter(header -> header.regionMatches(true, 0, BEARER, 0, BEARER.length()))
                .map(header -> header.substring(BEARER.length()).strip())
                .orElseThrow(() -> new SoftcallException(
                        Reason.UNAUTHENTICATED, "an API key is needed: send the header `Authorization: Bearer <key>`"));
        byte[] sha256 = Sha256.digest().digest(token.getBytes(StandardCharsets.UTF_8));
        // Every key is compared, each in constant time, so that timing reveals nothing about the keys.
        Caller found = null;
        for (Key key : keys) {
            found = MessageDigest.isEqual(key.sha256(), sha256) ? key.caller() : found;
        }
        return Optional.ofNullable(found)
                .orElseThrow(() -> new SoftcallException(Reason.UNAUTHENTICATED, "the API key is not known"));
    }

    /** Returns whether the sender of this {@code Authorization} header may see the details for operators. */
    public boolean isAdmin(Optional<String> authorization) {
        try {
            return caller(authorization).admin();
        } catch (SoftcallException e) {
            return false;
        }
    }
}
