package io.softcall.inference.jinja;

/** A template cannot be parsed or rendered. The message has its line, if it is known. */
public final class TemplateException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final boolean raised;

    private TemplateException(String message, boolean raised) {
        super(message);
        this.raised = raised;
    }

    static TemplateException of(String format, Object... arguments) {
        return new TemplateException(format.formatted(arguments), false);
    }

    static TemplateException at(int line, String format, Object... arguments) {
        return new TemplateException("line %d: %s".formatted(line, format.formatted(arguments)), false);
    }

    static TemplateException raisedBy(String message) {
        return new TemplateException(message, true);
    }

    /** Returns whether the template itself refused its input, with {@code raise_exception}. */
    public boolean isRaised() {
        return raised;
    }
}
