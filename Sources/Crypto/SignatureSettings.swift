// What signing and verifying with a hash have to agree on, as OpenSSL is told it.

internal import COpenSSL

/// Hash and padding of ECDSA and both kinds of RSA.
enum SignatureSettings {
    /// Sets up a context that signs, or one that verifies.
    ///
    /// - Parameter padding: RSA's; nil where the key has none.
    static func apply(to context: OpaquePointer, _ digest: MessageDigest, padding: CInt?) {
        guard unsafe EVP_PKEY_CTX_set_signature_md(context, digest.implementation) == 1 else {
            OpenSSLError.crash("choosing a hash")
        }
        guard let padding else { return }
        guard unsafe EVP_PKEY_CTX_set_rsa_padding(context, padding) == 1 else {
            OpenSSLError.crash("choosing an RSA padding")
        }
        if padding == RSA_PKCS1_PSS_PADDING {
            // RFC 7518 §3.5: "The size of the salt value is the same size as the hash function output", and
            // MGF1 uses the same hash.
            guard
                unsafe EVP_PKEY_CTX_set_rsa_pss_saltlen(context, CInt(digest.function.byteCount)) == 1,
                unsafe EVP_PKEY_CTX_set_rsa_mgf1_md(context, digest.implementation) == 1
            else { OpenSSLError.crash("choosing PSS parameters") }
        }
    }
}
