/** Memory outside the Java heap, of the host or a device. */
package io.softcall.inference.memory;
