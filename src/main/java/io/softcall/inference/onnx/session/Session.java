package io.softcall.inference.onnx.session;

import ai.onnxruntime.OnnxModelMetadata;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import io.softcall.inference.memory.OnnxRuntime;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/** A session of ONNX Runtime. Safe for use by several threads. */
public final class Session implements AutoCloseable {

    private final OrtSession session;
    /**
     * Runs hold the read lock. Closing takes the write lock, because closing a session in use would crash the process.
     */
    private final ReentrantReadWriteLock inUse = new ReentrantReadWriteLock();

    /** Creates the session with these options. */
    public interface Creator {
        OrtSession create(SessionOptions options) throws OrtException;
    }

    /**
     * @param name the graph, as error messages name it
     * @throws IllegalStateException if the graph cannot be opened
     */
    public Session(String name, SessionResources resources, Creator creator) {
        OnnxRuntime.environment();
        try (SessionOptions options = new SessionOptions()) {
            options.setIntraOpNumThreads(resources.threads());
            options.addConfigEntry("session.intra_op.allow_spinning", resources.spinMicros() > 0 ? "1" : "0");
            options.addConfigEntry("session.intra_op.spin_duration_us", Integer.toString(resources.spinMicros()));
            options.setCPUArenaAllocator(resources.keepMemory());
            // Lengths differ between runs, so the memory plan of one does not fit the next.
            options.setMemoryPatternOptimization(false);
            this.session = creator.create(options);
        } catch (OrtException e) {
            throw new IllegalStateException("cannot open the graph %s: %s".formatted(name, e.getMessage()), e);
        }
    }

    public Set<String> inputs() {
        return session.getInputNames();
    }

    public OnnxModelMetadata metadata() throws OrtException {
        return session.getMetadata();
    }

    public OrtSession.Result run(SessionInputs inputs, Set<String> outputs) throws OrtException {
        return run(inputs, outputs, Map.of());
    }

    /** @param pinned tensors into which further outputs are written */
    public OrtSession.Result run(SessionInputs inputs, Set<String> outputs, Map<String, ? extends OnnxValue> pinned)
            throws OrtException {
        inUse.readLock().lock();
        try {
            return session.run(inputs.tensors(), outputs, pinned, null);
        } finally {
            inUse.readLock().unlock();
        }
    }

    @Override
    public void close() {
        inUse.writeLock().lock();
        try {
            session.close();
        } catch (OrtException e) {
            throw new IllegalStateException(e);
        } finally {
            inUse.writeLock().unlock();
        }
    }
}
