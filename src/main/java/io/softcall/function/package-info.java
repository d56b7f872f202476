/** Entry points: REST, Funqy, CloudEvents, health. They translate and authorise; nothing is computed here. */
package io.softcall.function;
