/** Entry points with one package a protocol, and what they share: authorisation, admission, the error table. */
package io.softcall.api;
