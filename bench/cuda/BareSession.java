import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import ai.onnxruntime.providers.OrtCUDAProviderOptions;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/**
 * Times ONNX Runtime alone on the fp16 trunk, nothing of Softcall around it:
 * {@code java BareSession.java TRUNK cuda|cpu ROWS TEXT PREFIX TIMES SDPA_KERNEL}; prints the median of a run in milliseconds. All
 * rows have one prefix, which lies in host memory. SDPA_KERNEL is CUDA's option of that name: 18 is memory-efficient attention, 17
 * flash attention.
 */
public final class BareSession {

    public static void main(String... arguments) throws Exception {
        int rows = Integer.parseInt(arguments[2]);
        int text = Integer.parseInt(arguments[3]);
        int prefix = Integer.parseInt(arguments[4]);
        double[] ms = new double[Integer.parseInt(arguments[5])];
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        try (var options = new OrtSession.SessionOptions()) {
            if (arguments[1].equals("cuda")) {
                var cuda = new OrtCUDAProviderOptions(0);
                cuda.add("sdpa_kernel", arguments[6]);
                options.addCUDA(cuda);
            }
            try (OrtSession session = environment.createSession(arguments[0], options)) {
                Map<String, OnnxTensor> inputs = inputs(environment, session, rows, text, prefix);
                for (int i = -5; i < ms.length; i++) {
                    long began = System.nanoTime();
                    try (OrtSession.Result result = session.run(inputs, Set.of("hidden"))) {
                        result.get(0).getValue();
                    }
                    if (i >= 0) {
                        ms[i] = (System.nanoTime() - began) / 1e6;
                    }
                }
            }
        }
        Arrays.sort(ms);
        System.out.println(ms[ms.length / 2]);
    }

    private static Map<String, OnnxTensor> inputs(
            OrtEnvironment environment, OrtSession session, int rows, int text, int prefix) throws Exception {
        Map<String, OnnxTensor> inputs = new HashMap<>();
        inputs.put("input_ids", longs(environment, rows * text, i -> 300 + i % 20_000, rows, text));
        inputs.put("last_index", longs(environment, rows, i -> text - 1, rows));
        inputs.put("prefix_pages", longs(environment, rows * prefix, i -> i % prefix, rows, prefix));
        long hidden = shape(session, "prompt_embeds")[2];
        inputs.put("prompt_embeds", zeros(environment, OnnxJavaType.FLOAT, rows, 0, hidden));
        long[] pages = shape(session, "kv_pages");
        pages[0] = prefix;
        inputs.put("kv_pages", zeros(environment, OnnxJavaType.FLOAT16, pages));
        return inputs;
    }

    private static long[] shape(OrtSession session, String input) throws Exception {
        return ((TensorInfo) session.getInputInfo().get(input).getInfo()).getShape();
    }

    private static OnnxTensor longs(
            OrtEnvironment environment, int count, java.util.function.IntToLongFunction value, long... shape)
            throws Exception {
        ByteBuffer bytes = buffer(count * Long.BYTES);
        for (int i = 0; i < count; i++) {
            bytes.putLong(i * Long.BYTES, value.applyAsLong(i));
        }
        return OnnxTensor.createTensor(environment, bytes, shape, OnnxJavaType.INT64);
    }

    private static OnnxTensor zeros(OrtEnvironment environment, OnnxJavaType type, long... shape) throws Exception {
        long elements = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
        return OnnxTensor.createTensor(environment, buffer((int) (elements * type.size)), shape, type);
    }

    private static ByteBuffer buffer(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }
}
