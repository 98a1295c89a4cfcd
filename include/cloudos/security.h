/* SPDX-License-Identifier: MIT */
/*
 * Authentication, authorization, cryptography ("Security Service API").
 * `cloudosctl personality show cloudos` says which of these this version answers; one
 * that it lacks returns CLOUDOS_EACCES, and cloudos_get_last_error() says why.
 */
#ifndef CLOUDOS_SECURITY_H
#define CLOUDOS_SECURITY_H

#include <cloudos/base.h>

/* Capabilities and algorithms, which the specification names and does not list, are
 * numbers. */
typedef uint32_t capability_t;
typedef int32_t crypto_algorithm_t;

/* Authentication API */
typedef struct auth_operations {
	int (*authenticate)(const char *username, const char *password);
	int (*create_session)(uint32_t uid, const char *remote_addr);
	int (*validate_session)(uint32_t session_id);
	int (*destroy_session)(uint32_t session_id);
} auth_operations_t;

/* Authorization API */
typedef struct authz_operations {
	bool (*check_permission)(uint32_t uid, uint32_t resource_id, uint32_t access);
	int (*set_capability)(uint32_t uid, capability_t cap, bool value);
	bool (*has_capability)(uint32_t uid, capability_t cap);
} authz_operations_t;

/* Cryptographic Services */
typedef struct crypto_operations {
	int (*generate_key)(crypto_algorithm_t alg, uint32_t key_size);
	int (*encrypt)(uint32_t key_id, const void *plaintext, size_t pt_len,
		       void *ciphertext, size_t *ct_len);
	int (*decrypt)(uint32_t key_id, const void *ciphertext, size_t ct_len,
		       void *plaintext, size_t *pt_len);
	int (*hash)(crypto_algorithm_t alg, const void *data, size_t len, void *hash,
		    size_t hash_len);
} crypto_operations_t;

CLOUDOS_BEGIN_DECLS

/* ---- Authentication API ---- */

CLOUDOS_API int cloudos_auth_authenticate(const char *username, const char *password);
CLOUDOS_API int cloudos_auth_create_session(uint32_t uid, const char *remote_addr);
CLOUDOS_API int cloudos_auth_validate_session(uint32_t session_id);
CLOUDOS_API int cloudos_auth_destroy_session(uint32_t session_id);

/* ---- Authorization API; the bool functions fail to false ---- */

CLOUDOS_API bool cloudos_authz_check_permission(uint32_t uid, uint32_t resource_id,
						uint32_t access);
CLOUDOS_API int cloudos_authz_set_capability(uint32_t uid, capability_t cap,
					     bool value);
CLOUDOS_API bool cloudos_authz_has_capability(uint32_t uid, capability_t cap);

/* ---- Cryptographic Services; key_size in bits, lengths in bytes.  *ct_len and *pt_len
 * are the room before the call and what was written after it ---- */

CLOUDOS_API int cloudos_crypto_generate_key(crypto_algorithm_t alg, uint32_t key_size);
CLOUDOS_API int cloudos_crypto_encrypt(uint32_t key_id, const void *plaintext,
				       size_t pt_len, void *ciphertext, size_t *ct_len);
CLOUDOS_API int cloudos_crypto_decrypt(uint32_t key_id, const void *ciphertext,
				       size_t ct_len, void *plaintext, size_t *pt_len);
CLOUDOS_API int cloudos_crypto_hash(crypto_algorithm_t alg, const void *data,
				    size_t len, void *hash, size_t hash_len);

/* The functions above as the specification's tables; never NULL, never freed. */
CLOUDOS_API const auth_operations_t *cloudos_auth_operations(void);
CLOUDOS_API const authz_operations_t *cloudos_authz_operations(void);
CLOUDOS_API const crypto_operations_t *cloudos_crypto_operations(void);

CLOUDOS_END_DECLS

#endif
