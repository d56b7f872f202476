package io.softcall.task.artifact;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.softcall.Allocation;
import io.softcall.Reasons;
import io.softcall.task.RefusedException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;

/** Any file is a complete and valid safetensors file, or is refused. */
class SafetensorsFuzzTest {

    private static final Map<Integer, String> KINDS = Map.of(8, "F64 I64 U64", 4, "F32 I32 U32", 2, "F16 BF16 I16 U16");

    /** The memory per byte of a file: the header becomes a text, and the text becomes a tree. */
    private static final int BYTES_EACH = 200;

    private static final int BYTES_ALWAYS = 16 << 20;

    @FuzzTest
    void parse(byte[] bytes) {
        Safetensors file;
        try {
            file = Allocation.within(
                    BYTES_ALWAYS + (long) BYTES_EACH * bytes.length, () -> Safetensors.parse(bytes.clone()));
        } catch (RefusedException e) {
            Reasons.printable(e.getMessage());
            return;
        }
        long held = 0;
        for (var entry : file.tensors().entrySet()) {
            Safetensors.Tensor tensor = entry.getValue();
            assertEquals(entry.getKey(), tensor.name());
            long elements = tensor.shape().stream().reduce(1L, Math::multiplyExact);
            int width = KINDS.entrySet().stream()
                    .filter(kind -> kind.getValue().contains(tensor.dtype()))
                    .mapToInt(Map.Entry::getKey)
                    .findFirst()
                    .orElse(1);
            assertEquals(elements * width, tensor.data().remaining(), tensor.name());
            held += tensor.data().remaining();
            readAsFloats(tensor, elements);
        }
        long header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
        assertEquals(bytes.length, Long.BYTES + header + held);
    }

    private static void readAsFloats(Safetensors.Tensor tensor, long elements) {
        try {
            assertEquals(elements, tensor.values().floats().length);
        } catch (RefusedException e) {
            assertTrue(Reasons.printable(e.getMessage()).contains("expected F32, F16 or BF16"), e.getMessage());
        }
    }
}
