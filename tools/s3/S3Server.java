import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Supplier;
import org.gaul.s3proxy.BlobStores;
import org.gaul.s3proxy.S3Proxy;
import org.gaul.s3proxy.auth.AuthenticationType;
import org.gaul.s3proxy.blobstore.BlobStore;
import org.gaul.s3proxy.blobstore.ForwardingBlobStore;
import org.gaul.shaded.org.eclipse.jetty.server.CustomRequestLog;
import org.gaul.shaded.org.eclipse.jetty.server.RequestLogWriter;
import org.gaul.shaded.org.eclipse.jetty.server.Server;
import software.amazon.awssdk.core.ResponseInputStream;
import software.amazon.awssdk.services.s3.model.CopyObjectRequest;
import software.amazon.awssdk.services.s3.model.CopyObjectResponse;
import software.amazon.awssdk.services.s3.model.DeleteObjectRequest;
import software.amazon.awssdk.services.s3.model.DeleteObjectResponse;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.HeadObjectRequest;
import software.amazon.awssdk.services.s3.model.HeadObjectResponse;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.PutObjectResponse;

/** s3proxy over a folder, with signatures checked and an access log. README.md beside this file says how to use it. */
final class S3Server {
    /** Time, the request line (method, percent-encoded path with query, protocol), status, bytes of the response. */
    private static final String ACCESS_LOG_FORMAT = "%{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'|UTC}t %r %s %O";

    private static final List<String> REQUIRED = List.of("--port", "--data", "--access-key", "--secret-key", "--log");
    private static final String PID_FILE = "--pid-file";
    private static final int MAX_THREADS = 64;

    private S3Server() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = parse(arguments);
        Path data = Files.createDirectories(Path.of(options.get("--data")));
        Path log = Path.of(options.get("--log")).toAbsolutePath();
        Files.createDirectories(log.getParent());

        Properties backend = new Properties();
        backend.setProperty("jclouds.filesystem.basedir", data.toAbsolutePath().toString());
        S3Proxy s3 = S3Proxy.builder()
                .endpoint(URI.create("http://127.0.0.1:" + port(options.get("--port"))))
                .awsAuthentication(AuthenticationType.AWS_V4, options.get("--access-key"), options.get("--secret-key"))
                .blobStore(new AtomicObjects(BlobStores.create("filesystem-nio2", backend)))
                .jettyMaxThreads(MAX_THREADS)
                .build();
        writeAccessLog(s3, log);
        try {
            s3.start();
        } catch (IOException unavailable) {
            System.err.println("tools/s3/start: " + unavailable.getMessage());
            System.exit(1);
        }

        if (options.containsKey(PID_FILE)) {
            Files.writeString(Path.of(options.get(PID_FILE)), ProcessHandle.current().pid() + "\n");
        }
        System.out.println("ready http://127.0.0.1:" + s3.getPort());
    }

    private static Map<String, String> parse(String[] arguments) {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i < arguments.length; i += 2) {
            boolean known = REQUIRED.contains(arguments[i]) || arguments[i].equals(PID_FILE);
            if (!known || i + 1 == arguments.length || arguments[i + 1].isEmpty()) {
                throw usage("unknown option or missing value: " + arguments[i]);
            }
            options.put(arguments[i], arguments[i + 1]);
        }
        for (String name : REQUIRED) {
            if (!options.containsKey(name)) {
                throw usage(name + " is missing");
            }
        }
        return options;
    }

    private static int port(String value) {
        try {
            int port = Integer.parseInt(value);
            if (port >= 0 && port <= 65_535) {
                return port;
            }
        } catch (NumberFormatException notANumber) {
            // the same answer as for a number out of range
        }
        throw usage("--port must be 0 (any free port) to 65535, not " + value);
    }

    /** s3proxy offers no access log; the Jetty inside it does, but s3proxy keeps that to itself. */
    private static void writeAccessLog(S3Proxy s3, Path file) throws ReflectiveOperationException {
        var server = S3Proxy.class.getDeclaredField("server");
        server.setAccessible(true);
        ((Server) server.get(s3)).setRequestLog(
                new CustomRequestLog(new RequestLogWriter(file.toString()), ACCESS_LOG_FORMAT));
    }

    /**
     * Each read and each conditional replacement as one step, as on S3. The folder alone reads the ETag and opens the file
     * in two steps, and checks If-Match before it replaces the file; under load an overwrite slips in between.
     */
    private static final class AtomicObjects extends ForwardingBlobStore {
        private final ReadWriteLock lock = new ReentrantReadWriteLock();

        AtomicObjects(BlobStore folder) {
            super(folder);
        }

        @Override
        public ResponseInputStream<GetObjectResponse> getBlob(GetObjectRequest request) {
            return holding(lock.readLock(), () -> super.getBlob(request));
        }

        @Override
        public HeadObjectResponse blobMetadata(HeadObjectRequest request) {
            return holding(lock.readLock(), () -> super.blobMetadata(request));
        }

        @Override
        public PutObjectResponse putBlob(PutObjectRequest request, InputStream body) {
            return holding(lock.writeLock(), () -> {
                if (request.ifMatch() != null) {
                    requireCurrent(request.bucket(), request.key(), request.ifMatch());
                }
                return super.putBlob(request, body);
            });
        }

        @Override
        public CopyObjectResponse copyBlob(CopyObjectRequest request) {
            return holding(lock.writeLock(), () -> super.copyBlob(request));
        }

        @Override
        public DeleteObjectResponse removeBlob(DeleteObjectRequest request) {
            return holding(lock.writeLock(), () -> super.removeBlob(request));
        }

        /** A conditional read, which fails with 412 (or 404) as the replacement should. */
        private void requireCurrent(String bucket, String key, String etag) {
            super.getBlob(GetObjectRequest.builder().bucket(bucket).key(key).ifMatch(etag).build()).abort();
        }

        private static <T> T holding(Lock held, Supplier<T> action) {
            held.lock();
            try {
                return action.get();
            } finally {
                held.unlock();
            }
        }
    }

    private static IllegalArgumentException usage(String reason) {
        System.err.println("tools/s3/start: " + reason + "\nusage: tools/s3/start --port N --data DIR --access-key KEY"
                + " --secret-key SECRET --log FILE [--pid-file FILE]");
        System.exit(2);
        return new IllegalArgumentException(reason);
    }
}
