package io.softcall.api.http;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** The paths of this server. {@code META-INF/openapi.yaml} describes their requests and answers. */
public enum Paths {
    EVENTS(Paths.EVENTS_PATH, Methods.POSTED),
    CLASSIFY(Paths.CLASSIFY_PATH, Methods.POSTED),
    VLLM_CLASSIFY(Paths.VLLM_CLASSIFY_PATH, Methods.POSTED),
    COMPLETIONS(Paths.COMPLETIONS_PATH, Methods.POSTED),
    CHAT_COMPLETIONS(Paths.CHAT_COMPLETIONS_PATH, Methods.POSTED),
    CLASSIFY_TEXT("/" + Paths.CLASSIFY_FUNCTION, Methods.POSTED),
    JOBS(Paths.JOBS_PATH, Methods.POSTED),
    JOB(Paths.JOBS_PATH + "/{id}", Methods.READ_OR_DELETED),
    MODELS(Paths.MODELS_PATH, Methods.READ),
    MODEL(Paths.MODELS_PATH + "/{task}", Methods.READ);

    public static final String EVENTS_PATH = "/";
    /** SGLang's path. */
    public static final String CLASSIFY_PATH = "/v1/classify";

    public static final String VLLM_CLASSIFY_PATH = "/classify";
    /** OpenAI's paths. */
    public static final String COMPLETIONS_PATH = "/v1/completions";

    public static final String CHAT_COMPLETIONS_PATH = "/v1/chat/completions";
    /** The name of the Funqy function. */
    public static final String CLASSIFY_FUNCTION = "classify-text";

    public static final String JOBS_PATH = "/v1/jobs";
    public static final String MODELS_PATH = "/v1/models";

    /** Holds the lists in a class, because the constants of an enum are created before its static fields. */
    private static final class Methods {
        static final List<String> POSTED = List.of("POST", "OPTIONS");
        static final List<String> READ = List.of("GET", "HEAD", "OPTIONS");
        static final List<String> READ_OR_DELETED = List.of("GET", "HEAD", "DELETE", "OPTIONS");
    }

    private static final List<Paths> ALL = List.of(values());

    private final String template;
    private final List<String> methods;

    Paths(String template, List<String> methods) {
        this.template = template;
        this.methods = methods;
    }

    /** Returns the path, with a name in braces in place of a variable part. */
    public String template() {
        return template;
    }

    List<String> methods() {
        return methods;
    }

    /** Returns all templates; metrics use them as the paths of requests. */
    static Set<String> templates() {
        return ALL.stream().map(Paths::template).collect(Collectors.toUnmodifiableSet());
    }

    /**
     * Returns the entry for a request's path, with or without a trailing slash; empty when this server has no such
     * path.
     */
    static Optional<Paths> of(String path) {
        String resource = path.length() > 1 && path.endsWith("/") ? path.substring(0, path.length() - 1) : path;
        for (Paths known : ALL) {
            if (known.matches(resource)) {
                return Optional.of(known);
            }
        }
        return Optional.empty();
    }

    private boolean matches(String path) {
        int brace = template.indexOf('{');
        return brace < 0
                ? path.equals(template)
                : path.length() > brace && path.startsWith(template.substring(0, brace));
    }
}
