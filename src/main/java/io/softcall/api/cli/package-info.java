/** The command {@code classify}, for devices without a port. Contract: docs/edge.md. */
package io.softcall.api.cli;
