// What Swift cannot see of OpenSSL 3.0 (functions that are macros), and what is a few lines of C and many of
// Swift: parameter lists, which keep pointers to what they were given until they have been read out.
#pragma once
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

/* SHA-256 on the stack. EVP allocates the algorithm's state anew at every EVP_DigestInit (OpenSSL 3.0, 441
 * bytes: one allocation and 436 ns; here none and 382 ns), and this runs on every request. The functions are
 * deprecated in favour of EVP, not removed. */
static inline int gateway_sha256(const unsigned char *bytes, size_t count, unsigned char *digest) {
    SHA256_CTX state;
    return SHA256_Init(&state) == 1 && SHA256_Update(&state, bytes, count) == 1 &&
           SHA256_Final(digest, &state) == 1;
}

/* Keys an HMAC context. A parameter keeps the address of its name, which here is a literal. An empty key
 * still needs an address: with NULL, EVP_MAC_init would mean "keep the key you have". */
static inline int gateway_mac_key(EVP_MAC_CTX *context, const char *digest, const unsigned char *key,
                                  size_t count) {
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_init(context, count == 0 ? (const unsigned char *)"" : key, count, parameters);
}

/* A public key of `type` from the parameters that `builder` holds; NULL when they do not make a key. */
static inline EVP_PKEY *gateway_public_key(const char *type, OSSL_PARAM_BLD *builder) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (parameters != NULL && context != NULL && EVP_PKEY_fromdata_init(context) == 1)
        if (EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}

/* The EC public key of an uncompressed point; NULL when the point is not on the curve. */
static inline EVP_PKEY *gateway_ec_public_key(const char *group, const unsigned char *point, size_t count) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (builder == NULL) return NULL;
    if (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, count) == 1)
        key = gateway_public_key("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* The RSA public key of a modulus and an exponent, both big-endian. */
static inline EVP_PKEY *gateway_rsa_public_key(const unsigned char *modulus, int modulus_count,
                                               const unsigned char *exponent, int exponent_count) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn(modulus, modulus_count, NULL);
    BIGNUM *e = BN_bin2bn(exponent, exponent_count, NULL);
    if (builder != NULL && n != NULL && e != NULL &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        key = gateway_public_key("RSA", builder);
    BN_free(n);
    BN_free(e);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* BIO_get_mem_data is a macro. */
static inline long gateway_bio_memory(BIO *bio, char **bytes) {
    return BIO_get_mem_data(bio, bytes);
}
