/** CUDA: the options of the execution provider, and device memory. docs/cuda.md explains them. */
package io.softcall.inference.cuda;
