/** CUDA: the execution provider's options and device memory. docs/cuda.md. */
package io.softcall.inference.cuda;
