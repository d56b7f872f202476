package io.softcall.inference.memory;

/** Calls of native functions. */
public final class Native {

    private Native() {}

    /** What {@code MethodHandle.invoke} may throw as far as the compiler knows. */
    public interface Call {
        Object run() throws Throwable;
    }

    /** Native functions throw nothing; a call that does not fit its handle is a fault of ours. */
    public static Object call(Call call) {
        try {
            return call.run();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }
}
