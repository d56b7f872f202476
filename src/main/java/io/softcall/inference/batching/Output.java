package io.softcall.inference.batching;

/**
 * What became of one input.
 *
 * @param hidden the hidden row at the text's last token, [hidden]
 * @param queuedNanos from submission to the start of its batch
 * @param batchNanos the forward pass of that batch
 */
public record Output(float[] hidden, long queuedNanos, long batchNanos) {}
