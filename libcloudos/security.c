/* SPDX-License-Identifier: MIT */
/* Authentication, authorization and cryptography.  Linked into CloudOS programs. */
#include "call.h"

int cloudos_auth_authenticate(const char *username, const char *password)
{
	return (int) CALL(auth_authenticate, ARG(username), ARG(password));
}

int cloudos_auth_create_session(uint32_t uid, const char *remote_addr)
{
	return (int) CALL(auth_create_session, ARG(uid), ARG(remote_addr));
}

int cloudos_auth_validate_session(uint32_t session_id)
{
	return (int) CALL(auth_validate_session, ARG(session_id));
}

int cloudos_auth_destroy_session(uint32_t session_id)
{
	return (int) CALL(auth_destroy_session, ARG(session_id));
}

bool cloudos_authz_check_permission(uint32_t uid, uint32_t resource_id, uint32_t access)
{
	return CALL(authz_check_permission, ARG(uid), ARG(resource_id), ARG(access)) >
	       0;
}

int cloudos_authz_set_capability(uint32_t uid, capability_t cap, bool value)
{
	return (int) CALL(authz_set_capability, ARG(uid), ARG(cap), ARG(value));
}

bool cloudos_authz_has_capability(uint32_t uid, capability_t cap)
{
	return CALL(authz_has_capability, ARG(uid), ARG(cap)) > 0;
}

int cloudos_crypto_generate_key(crypto_algorithm_t alg, uint32_t key_size)
{
	return (int) CALL(crypto_generate_key, ARG(alg), ARG(key_size));
}

int cloudos_crypto_encrypt(uint32_t key_id, const void *plaintext, size_t pt_len,
			   void *ciphertext, size_t *ct_len)
{
	return (int) CALL(crypto_encrypt, ARG(key_id), ARG(plaintext), ARG(pt_len),
			  ARG(ciphertext), ARG(ct_len));
}

int cloudos_crypto_decrypt(uint32_t key_id, const void *ciphertext, size_t ct_len,
			   void *plaintext, size_t *pt_len)
{
	return (int) CALL(crypto_decrypt, ARG(key_id), ARG(ciphertext), ARG(ct_len),
			  ARG(plaintext), ARG(pt_len));
}

int cloudos_crypto_hash(crypto_algorithm_t alg, const void *data, size_t len,
			void *hash, size_t hash_len)
{
	return (int) CALL(crypto_hash, ARG(alg), ARG(data), ARG(len), ARG(hash),
			  ARG(hash_len));
}

const auth_operations_t *cloudos_auth_operations(void)
{
	static const auth_operations_t table = {
		.authenticate = cloudos_auth_authenticate,
		.create_session = cloudos_auth_create_session,
		.validate_session = cloudos_auth_validate_session,
		.destroy_session = cloudos_auth_destroy_session,
	};

	return &table;
}

const authz_operations_t *cloudos_authz_operations(void)
{
	static const authz_operations_t table = {
		.check_permission = cloudos_authz_check_permission,
		.set_capability = cloudos_authz_set_capability,
		.has_capability = cloudos_authz_has_capability,
	};

	return &table;
}

const crypto_operations_t *cloudos_crypto_operations(void)
{
	static const crypto_operations_t table = {
		.generate_key = cloudos_crypto_generate_key,
		.encrypt = cloudos_crypto_encrypt,
		.decrypt = cloudos_crypto_decrypt,
		.hash = cloudos_crypto_hash,
	};

	return &table;
}
