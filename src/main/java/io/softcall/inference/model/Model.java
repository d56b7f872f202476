package io.softcall.inference.model;

import io.softcall.task.Prompt;
import io.softcall.task.ReadyPrefix;
import java.util.List;

/** The frozen base: the one seam between Softcall and whatever computes. Safe for use by several threads. */
public interface Model extends AutoCloseable {

    /**
     * A text to run.
     *
     * @param ids token ids, at least one
     * @param prefix what stands before them; stays retained by the caller until the run ends
     */
    record Sequence(long[] ids, Prefix prefix) {}

    Bundle bundle();

    /** What texts run on. */
    Device device();

    /** Computes a prompt's KV cache at full precision, for which the bundle must have an encoder. The caller owns the one reference. */
    Prefix encode(Prompt prompt);

    /** Takes over a KV cache that was computed before. The caller owns the one reference. */
    Prefix load(ReadyPrefix ready);

    /**
     * Runs texts behind their prefixes.
     *
     * @param batch at least one; all prefixes have the same number of tokens
     * @param exclusive no other run begins before this one has ended; it may take all cores, while runs at the same time share them
     * @return the hidden row at each text's last token, [batch][hidden], in the order of the batch
     */
    float[][] forward(List<Sequence> batch, boolean exclusive);

    @Override
    void close();
}
