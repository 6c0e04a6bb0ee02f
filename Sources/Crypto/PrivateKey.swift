// Private keys that sign: made here or read from PEM, kept as PKCS#8 in PEM. What one is used for, a
// `SignatureGeneration` fixes.
//
// One owner's OpenSSL object; not Sendable. What is shared between threads is the PEM text.

internal import COpenSSL

/// What kind of key to make.
package enum PrivateKeyKind: Sendable, Hashable {
    case ellipticCurve(EllipticCurve)
    case rsa(bits: Int)
    case ed25519
}

/// A private key with its public half: ECDSA, RSA or Ed25519.
@safe
package final class PrivateKey {
    let handle: OpaquePointer
    /// The public half.
    package let publicParameters: PublicKeyParameters

    /// A fresh key.
    package static func generate(_ kind: PrivateKeyKind) -> PrivateKey {
        guard let context = unsafe EVP_PKEY_CTX_new_from_name(nil, kind.opensslName, nil) else {
            OpenSSLError.crash("making a key generator")
        }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        var isReady = unsafe EVP_PKEY_keygen_init(context) == 1
        switch kind {
        case .ellipticCurve(let curve):
            isReady = unsafe isReady && EVP_PKEY_CTX_set_group_name(context, curve.name) == 1
        case .rsa(let bits):
            isReady = unsafe isReady && EVP_PKEY_CTX_set_rsa_keygen_bits(context, CInt(bits)) == 1
        case .ed25519: break
        }
        var key: OpaquePointer? = nil
        guard isReady, unsafe EVP_PKEY_generate(context, &key) == 1, let key = unsafe key,
            let parameters = unsafe PublicKeyParameters.of(key)
        else { OpenSSLError.crash("generating a key") }
        return unsafe PrivateKey(adopting: key, parameters)
    }

    /// The key of a PEM text without a passphrase: PKCS#8, or the older forms of EC and RSA alone. Refuses
    /// what is no sound pair of a kind that is used here.
    package convenience init(pem: [UInt8]) throws(KeyError) {
        let key = unsafe try Self.read(pem)
        do throws(KeyError) {
            guard let parameters = unsafe PublicKeyParameters.of(key) else { throw .unsupported }
            _ = try PublicKey(parameters)
            guard unsafe Self.isPair(key) else { throw .invalid }
            unsafe self.init(adopting: key, parameters)
        } catch {
            OpenSSLError.forget()
            unsafe EVP_PKEY_free(key)
            throw error
        }
    }

    private init(adopting key: OpaquePointer, _ parameters: PublicKeyParameters) {
        unsafe handle = key
        publicParameters = parameters
    }

    deinit {
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
}

// MARK: - OpenSSL's shapes

extension PrivateKeyKind {
    fileprivate var opensslName: String {
        switch self {
        case .ellipticCurve: "EC"
        case .rsa: "RSA"
        case .ed25519: "ED25519"
        }
    }
}

extension PrivateKey {
    private static func read(_ pem: [UInt8]) throws(KeyError) -> OpaquePointer {
        guard pem.count <= pemBytesMax else { throw .wrongLength }
        var asksForPassphrase: CInt = 0
        let key = unsafe pem.withUnsafeBytes { bytes -> OpaquePointer? in
            guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, CInt(bytes.count)) else { return nil }
            defer { unsafe BIO_free(bio) }
            // Without a callback OpenSSL would ask for a passphrase on the terminal and hang the service.
            return unsafe PEM_read_bio_PrivateKey(
                bio, nil,
                { _, _, _, asked in
                    unsafe asked?.storeBytes(of: 1, as: CInt.self)
                    return -1
                }, &asksForPassphrase)
        }
        if let key = unsafe key {
            OpenSSLError.forget()
            return unsafe key
        }
        let reason = OpenSSLError.drain("reading a private key")
        throw asksForPassphrase == 0 ? .unreadable(reason) : .encrypted
    }

    private static func isPair(_ key: OpaquePointer) -> Bool {
        guard let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, key, nil) else { return false }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        return unsafe EVP_PKEY_pairwise_check(context) == 1
    }
}

private let pemBytesMax = 65536
