package io.softcall.inference.batching;

/**
 * The output of one input.
 *
 * @param hidden the hidden row at the last token of the input, [hidden]
 * @param queuedNanos the time from submission to the start of its batch
 * @param batchNanos the duration of that batch's forward pass
 */
public record Output(float[] hidden, long queuedNanos, long batchNanos) {}
