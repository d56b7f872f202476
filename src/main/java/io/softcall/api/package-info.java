/** Entry points, one package a protocol, and what they share: who calls, what is admitted, which error is told. */
package io.softcall.api;
