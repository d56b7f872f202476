/** REST resources. META-INF/openapi.yaml describes them. */
package io.softcall.api.rest;
