// The gateway's own signing key: P-256, made here, kept as PKCS#8 in PEM, used for ES256 and nothing else.
//
// One owner's OpenSSL object with its signing context; not Sendable. What is shared between threads is the
// PEM text.

internal import COpenSSL

/// A P-256 private key.
@safe
package final class PrivateKey {
    private let handle: OpaquePointer
    private let signing: OpaquePointer
    private let digest = MessageDigest(.sha256)

    /// How many bytes a signature has: R and S, 32 bytes each (RFC 7518 §3.4).
    package static let signatureBytes = 64

    /// A fresh key.
    package static func generate() -> PrivateKey {
        guard let context = unsafe EVP_PKEY_CTX_new_from_name(nil, "EC", nil) else {
            OpenSSLError.crash("making a key generator")
        }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer? = nil
        guard unsafe EVP_PKEY_keygen_init(context) == 1,
            unsafe EVP_PKEY_CTX_set_group_name(context, "P-256") == 1,
            unsafe EVP_PKEY_generate(context, &key) == 1, let key = unsafe key
        else { OpenSSLError.crash("generating a key") }
        return unsafe PrivateKey(adopting: key)
    }

    /// The key of a PEM text without a passphrase. Refuses every key that is not a sound P-256 pair.
    package convenience init(pem: [UInt8]) throws(KeyError) {
        let key = unsafe try Self.read(pem)
        guard unsafe Self.isP256Pair(key) else {
            OpenSSLError.forget()
            unsafe EVP_PKEY_free(key)
            throw .unsupported
        }
        unsafe self.init(adopting: key)
    }

    private init(adopting key: OpaquePointer) {
        guard let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, key, nil),
            unsafe EVP_PKEY_sign_init(context) == 1
        else { OpenSSLError.crash("preparing a signing key") }
        unsafe handle = key
        unsafe signing = context
    }

    deinit {
        unsafe EVP_PKEY_CTX_free(signing)
        unsafe EVP_PKEY_free(handle)
    }

    /// The key as PKCS#8 in PEM, unencrypted.
    package var pem: [UInt8] {
        guard let bio = unsafe BIO_new(BIO_s_mem()) else { OpenSSLError.crash("making a memory BIO") }
        // Freed with its bytes wiped, as every BUF_MEM is.
        defer { unsafe BIO_free(bio) }
        guard unsafe PEM_write_bio_PKCS8PrivateKey(bio, handle, nil, nil, 0, nil, nil) == 1 else {
            OpenSSLError.crash("writing a key as PEM")
        }
        var start: UnsafeMutablePointer<CChar>? = nil
        let count = unsafe gateway_bio_memory(bio, &start)
        return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count))
    }

    /// The public half.
    package var publicParameters: PublicKeyParameters {
        .ellipticCurve(
            .p256, x: coordinate(OSSL_PKEY_PARAM_EC_PUB_X), y: coordinate(OSSL_PKEY_PARAM_EC_PUB_Y))
    }

    /// The ES256 signature of `message`, as R and S one after the other.
    package func sign(_ message: Span<UInt8>) -> [UInt8] {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32 + derBytesMax) { block in
            let hash = unsafe block.baseAddress.unsafelyUnwrapped
            let der = unsafe hash + 32
            var count = derBytesMax
            guard unsafe digest.write(message, to: hash),
                unsafe EVP_PKEY_sign(signing, der, &count, hash, 32) == 1
            else { OpenSSLError.crash("signing") }
            return unsafe Self.rawSignature(der: der, count: count)
        }
    }

    // MARK: - OpenSSL's shapes

    /// RFC 7518 §3.4: "The signature is the octet sequence R || S", where OpenSSL speaks DER.
    private static func rawSignature(der: UnsafePointer<UInt8>, count: Int) -> [UInt8] {
        var cursor: UnsafePointer<UInt8>? = unsafe der
        guard let pair = unsafe d2i_ECDSA_SIG(nil, &cursor, count) else {
            OpenSSLError.crash("reading its own signature")
        }
        defer { unsafe ECDSA_SIG_free(pair) }
        return unsafe [UInt8](unsafeUninitializedCapacity: signatureBytes) { output, initialized in
            let start = unsafe output.baseAddress.unsafelyUnwrapped
            guard unsafe BN_bn2binpad(ECDSA_SIG_get0_r(pair), start, 32) == 32,
                unsafe BN_bn2binpad(ECDSA_SIG_get0_s(pair), start + 32, 32) == 32
            else { OpenSSLError.crash("writing a signature") }
            initialized = signatureBytes
        }
    }

    private func coordinate(_ name: String) -> [UInt8] {
        var number: OpaquePointer? = nil
        guard unsafe EVP_PKEY_get_bn_param(handle, name, &number) == 1, let number = unsafe number else {
            OpenSSLError.crash("reading a public point")
        }
        defer { unsafe BN_free(number) }
        return unsafe [UInt8](unsafeUninitializedCapacity: 32) { output, initialized in
            guard unsafe BN_bn2binpad(number, output.baseAddress, 32) == 32 else {
                OpenSSLError.crash("writing a coordinate")
            }
            initialized = 32
        }
    }

    private static func read(_ pem: [UInt8]) throws(KeyError) -> OpaquePointer {
        guard pem.count <= pemBytesMax else { throw .wrongLength }
        let key = unsafe pem.withUnsafeBytes { bytes -> OpaquePointer? in
            guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, CInt(bytes.count)) else { return nil }
            defer { unsafe BIO_free(bio) }
            // Without a callback OpenSSL would ask for a passphrase on the terminal and hang the service.
            return unsafe PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in -1 }, nil)
        }
        guard let key = unsafe key else { throw .unreadable(.drain("reading a private key")) }
        OpenSSLError.forget()
        return unsafe key
    }

    private static func isP256Pair(_ key: OpaquePointer) -> Bool {
        var name = [CChar](repeating: 0, count: 64)
        var count = 0
        guard unsafe EVP_PKEY_is_a(key, "EC") == 1,
            unsafe EVP_PKEY_get_group_name(key, &name, name.count, &count) == 1,
            name.prefix(count).map({ UInt8(bitPattern: $0) }) == Array("prime256v1".utf8),
            let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, key, nil)
        else { return false }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        return unsafe EVP_PKEY_public_check(context) == 1 && EVP_PKEY_pairwise_check(context) == 1
    }
}

/// A P-256 signature in DER: two integers of at most 33 bytes with their heads.
private let derBytesMax = 80
private let pemBytesMax = 65536
