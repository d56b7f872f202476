package io.softcall.inference.memory;

/** Calls of native functions. */
public final class Native {

    private Native() {}

    /** A call of {@code MethodHandle.invoke}, which declares {@code Throwable}. */
    public interface Call {
        Object run() throws Throwable;
    }

    /** Runs a call. Native functions throw nothing, so an exception means that the call does not fit its handle. */
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
