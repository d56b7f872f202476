/** REST resources. Contract: META-INF/openapi.yaml. */
package io.softcall.api.rest;
