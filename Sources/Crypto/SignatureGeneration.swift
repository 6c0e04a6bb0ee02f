// Signatures and MACs under one key with one scheme, fixed when the object is made: the counterpart of
// `SignatureVerification`, in the same raw shapes of RFC 7518.
//
// One owner's OpenSSL object, set up once and reused; not Sendable, no lock.

internal import COpenSSL

/// One key, ready to sign.
package final class SignatureGeneration {
    private enum Method {
        case ecdsa(DigestGeneration, EllipticCurve)
        case rsa(DigestGeneration)
        case ed25519(Ed25519Generation)
        case mac(KeyedMAC)
    }

    private let method: Method
    /// How many bytes each signature has.
    package let signatureBytes: Int

    /// Signatures under a private key; refuses a scheme that is not the key's.
    package init(key: PrivateKey, scheme: SignatureScheme) throws(KeyError) {
        switch (key.publicParameters, scheme) {
        case (.ellipticCurve(let curve, _, _), .ecdsa):
            method = .ecdsa(DigestGeneration(key: key, hash: curve.hash, padding: nil), curve)
            signatureBytes = curve.coordinateBytes * 2
        case (.rsa(let modulus, _), .rsaPKCS1(let hash)):
            method = .rsa(DigestGeneration(key: key, hash: hash, padding: RSA_PKCS1_PADDING))
            signatureBytes = modulus.count
        case (.rsa(let modulus, _), .rsaPSS(let hash)):
            method = .rsa(DigestGeneration(key: key, hash: hash, padding: RSA_PKCS1_PSS_PADDING))
            signatureBytes = modulus.count
        case (.ed25519, .ed25519):
            method = .ed25519(Ed25519Generation(key: key))
            signatureBytes = Ed25519Generation.signatureBytes
        default:
            throw .unsupported
        }
    }

    /// HMAC tags; refuses a key shorter than the hash.
    package init(secret: Span<UInt8>, hash: HashFunction) throws(KeyError) {
        // RFC 7518 §3.2: "A key of the same size as the hash output (for instance, 256 bits for "HS256") or
        // larger MUST be used with this algorithm."
        guard secret.count >= hash.byteCount else { throw .weak }
        method = .mac(KeyedMAC(key: secret, function: hash))
        signatureBytes = hash.byteCount
    }

    /// The signature, or tag, of `message`.
    package func sign(_ message: Span<UInt8>) -> [UInt8] {
        switch method {
        case .ecdsa(let generation, let curve): generation.signRaw(message, curve)
        case .rsa(let generation): generation.sign(message, bytesMax: signatureBytes)
        case .ed25519(let generation): generation.sign(message)
        case .mac(let mac): Self.tag(of: message, under: mac)
        }
    }

    private static func tag(of message: Span<UInt8>, under mac: KeyedMAC) -> [UInt8] {
        mac.begin()
        mac.update(message)
        return unsafe [UInt8](unsafeUninitializedCapacity: mac.function.byteCount) { output, initialized in
            guard unsafe mac.finish(to: output.baseAddress.unsafelyUnwrapped) else {
                OpenSSLError.crash("an HMAC")
            }
            initialized = mac.function.byteCount
        }
    }
}

/// Hash, then sign: ECDSA and both kinds of RSA on a context that is set up once.
@safe
private final class DigestGeneration {
    private let context: OpaquePointer
    private let digest: MessageDigest

    init(key: PrivateKey, hash: HashFunction, padding: CInt?) {
        let digest = MessageDigest(hash)
        // The context holds a reference of its own to the key.
        guard let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, key.handle, nil),
            unsafe EVP_PKEY_sign_init(context) == 1
        else { OpenSSLError.crash("preparing a signing key") }
        unsafe SignatureSettings.apply(to: context, digest, padding: padding)
        unsafe self.context = context
        self.digest = digest
    }

    deinit {
        unsafe EVP_PKEY_CTX_free(context)
    }

    func sign(_ message: Span<UInt8>, bytesMax: Int) -> [UInt8] {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: digest.function.byteCount) { hash in
            guard unsafe digest.write(message, to: hash.baseAddress.unsafelyUnwrapped) else {
                OpenSSLError.crash("a digest")
            }
            return unsafe [UInt8](unsafeUninitializedCapacity: bytesMax) { output, initialized in
                var count = bytesMax
                guard
                    unsafe EVP_PKEY_sign(context, output.baseAddress, &count, hash.baseAddress, hash.count)
                        == 1
                else { OpenSSLError.crash("signing") }
                initialized = count
            }
        }
    }

    /// RFC 7518 §3.4: "The signature is the octet sequence R || S", where OpenSSL speaks DER.
    func signRaw(_ message: Span<UInt8>, _ curve: EllipticCurve) -> [UInt8] {
        let der = sign(message, bytesMax: derBytesMax)
        let half = curve.coordinateBytes
        return unsafe der.withUnsafeBufferPointer { bytes in
            var cursor = bytes.baseAddress
            guard let pair = unsafe d2i_ECDSA_SIG(nil, &cursor, bytes.count) else {
                OpenSSLError.crash("reading its own signature")
            }
            defer { unsafe ECDSA_SIG_free(pair) }
            return unsafe [UInt8](unsafeUninitializedCapacity: 2 * half) { output, initialized in
                let start = unsafe output.baseAddress.unsafelyUnwrapped
                guard unsafe BN_bn2binpad(ECDSA_SIG_get0_r(pair), start, CInt(half)) == CInt(half),
                    unsafe BN_bn2binpad(ECDSA_SIG_get0_s(pair), start + half, CInt(half)) == CInt(half)
                else { OpenSSLError.crash("writing a signature") }
                initialized = 2 * half
            }
        }
    }
}

/// Ed25519, which hashes by itself and so signs in one call.
@safe
private final class Ed25519Generation {
    static let signatureBytes = 64

    private let context: OpaquePointer
    private let key: PrivateKey

    init(key: PrivateKey) {
        guard let context = unsafe EVP_MD_CTX_new() else { OpenSSLError.crash("making a context") }
        unsafe self.context = context
        self.key = key
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
    }

    func sign(_ message: Span<UInt8>) -> [UInt8] {
        // A one-shot signature ends its context (since OpenSSL 3.2 for good), so each starts it afresh.
        guard unsafe EVP_MD_CTX_reset(context) == 1,
            unsafe EVP_DigestSignInit(context, nil, nil, nil, key.handle) == 1
        else { OpenSSLError.crash("preparing an Ed25519 key") }
        return unsafe [UInt8](unsafeUninitializedCapacity: Self.signatureBytes) { output, initialized in
            var count = Self.signatureBytes
            let isSigned = unsafe message.withUnsafeBufferPointer { text in
                unsafe EVP_DigestSign(context, output.baseAddress, &count, text.baseAddress, text.count) == 1
            }
            guard isSigned else { OpenSSLError.crash("signing") }
            initialized = count
        }
    }
}
