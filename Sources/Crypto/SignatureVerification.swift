// Verification of signatures and MACs under one key with one scheme, fixed when the object is made.
//
// Each owner (a shard) has its own object per key: the context is set up once and reused, never shared. Raw
// shapes of RFC 7518 go in; lengths are checked before any arithmetic.

internal import COpenSSL

/// How a public key is used.
package enum SignatureScheme: Sendable, Hashable {
    /// ECDSA with the curve's own hash, signature R ‖ S.
    case ecdsa
    /// RSASSA-PKCS1-v1_5.
    case rsaPKCS1(HashFunction)
    /// RSASSA-PSS with MGF1 of the same hash and a salt as long as the hash.
    case rsaPSS(HashFunction)
    /// Ed25519.
    case ed25519
}

/// One key, ready to verify.
package final class SignatureVerification {
    private enum Method {
        case ecdsa(DigestVerification, EllipticCurve)
        case rsa(DigestVerification, signatureBytes: Int)
        case ed25519(Ed25519Verification)
        case mac(KeyedMAC)
    }

    private let method: Method

    /// A verification under a public key; refuses a scheme that is not the key's.
    package init(key: PublicKey, scheme: SignatureScheme) throws(KeyError) {
        switch (key.parameters, scheme) {
        case (.ellipticCurve(let curve, _, _), .ecdsa):
            method = .ecdsa(DigestVerification(key: key, hash: curve.hash, padding: nil), curve)
        case (.rsa(let modulus, _), .rsaPKCS1(let hash)):
            let verification = DigestVerification(key: key, hash: hash, padding: RSA_PKCS1_PADDING)
            method = .rsa(verification, signatureBytes: modulus.drop { $0 == 0 }.count)
        case (.rsa(let modulus, _), .rsaPSS(let hash)):
            let verification = DigestVerification(key: key, hash: hash, padding: RSA_PKCS1_PSS_PADDING)
            method = .rsa(verification, signatureBytes: modulus.drop { $0 == 0 }.count)
        case (.ed25519, .ed25519):
            method = .ed25519(Ed25519Verification(key: key))
        default:
            throw .unsupported
        }
    }

    /// A verification of HMAC tags; refuses a key shorter than the hash.
    package init(secret: Span<UInt8>, hash: HashFunction) throws(KeyError) {
        // RFC 7518 §3.2: "A key of the same size as the hash output (for instance, 256 bits for "HS256") or
        // larger MUST be used with this algorithm."
        guard secret.count >= hash.byteCount else { throw .weak }
        method = .mac(KeyedMAC(key: secret, function: hash))
    }

    /// Whether `signature` is the key's signature, or tag, of `message`.
    package func verifies(_ signature: Span<UInt8>, of message: Span<UInt8>) -> Bool {
        switch method {
        case .ecdsa(let verification, let curve):
            // RFC 7518 §3.4: "If it is not a 64-octet sequence, the validation has failed" (96 and 132 for
            // the others).
            guard signature.count == curve.coordinateBytes * 2 else { return false }
            return verification.verifiesRaw(signature, of: message)
        case .rsa(let verification, let signatureBytes):
            // RFC 8017 §8.1.2, §8.2.2 step 1: the signature is as long as the modulus.
            guard signature.count == signatureBytes else { return false }
            return verification.verifies(signature, of: message)
        case .ed25519(let verification):
            guard signature.count == Ed25519Verification.signatureBytes else { return false }
            return verification.verifies(signature, of: message)
        case .mac(let mac):
            return Self.verifies(signature, under: mac, of: message)
        }
    }

    private static func verifies(_ tag: Span<UInt8>, under mac: KeyedMAC, of message: Span<UInt8>) -> Bool {
        mac.begin()
        mac.update(message)
        return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: mac.function.byteCount) {
            output in
            guard unsafe mac.finish(to: output.baseAddress.unsafelyUnwrapped) else { return false }
            return unsafe ConstantTime.equal(tag, Span(_unsafeElements: UnsafeBufferPointer(output)))
        }
    }
}

/// Hash, then verify: ECDSA and both kinds of RSA on a context that is set up once.
@safe
private final class DigestVerification {
    private let context: OpaquePointer
    private let digest: MessageDigest

    init(key: PublicKey, hash: HashFunction, padding: CInt?) {
        let digest = MessageDigest(hash)
        // The context holds a reference of its own to the key.
        guard let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, key.handle, nil),
            unsafe EVP_PKEY_verify_init(context) == 1
        else { OpenSSLError.crash("preparing a verification key") }
        unsafe SignatureSettings.apply(to: context, digest, padding: padding)
        unsafe self.context = context
        self.digest = digest
    }

    deinit {
        unsafe EVP_PKEY_CTX_free(context)
    }

    func verifies(_ signature: Span<UInt8>, of message: Span<UInt8>) -> Bool {
        unsafe signature.withUnsafeBufferPointer { bytes in unsafe verifies(bytes, of: message) }
    }

    /// R ‖ S becomes the DER that OpenSSL reads; zero, and what is not below the group's order, it refuses.
    func verifiesRaw(_ signature: Span<UInt8>, of message: Span<UInt8>) -> Bool {
        let half = CInt(signature.count / 2)
        guard let pair = unsafe ECDSA_SIG_new() else { OpenSSLError.crash("making a signature") }
        defer { unsafe ECDSA_SIG_free(pair) }
        let isSet = unsafe signature.withUnsafeBufferPointer { bytes in
            let start = unsafe bytes.baseAddress.unsafelyUnwrapped
            return unsafe ECDSA_SIG_set0(
                pair, BN_bin2bn(start, half, nil), BN_bin2bn(start + Int(half), half, nil))
        }
        guard isSet == 1 else { OpenSSLError.crash("making a signature") }
        return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: derBytesMax) { der in
            var cursor = der.baseAddress
            let count = unsafe i2d_ECDSA_SIG(pair, &cursor)
            precondition(count > 0 && count <= derBytesMax, "a signature in DER has outgrown its buffer")
            return unsafe verifies(UnsafeBufferPointer(rebasing: der[..<Int(count)]), of: message)
        }
    }

    private func verifies(_ signature: UnsafeBufferPointer<UInt8>, of message: Span<UInt8>) -> Bool {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: digest.function.byteCount) { hash in
            guard unsafe digest.write(message, to: hash.baseAddress.unsafelyUnwrapped) else {
                OpenSSLError.crash("a digest")
            }
            let isGenuine =
                unsafe EVP_PKEY_verify(
                    context, signature.baseAddress, signature.count, hash.baseAddress, hash.count) == 1
            if !isGenuine { OpenSSLError.forget() }
            return isGenuine
        }
    }
}

/// Ed25519, which hashes by itself and so verifies in one call.
@safe
private final class Ed25519Verification {
    static let signatureBytes = 64

    private let context: OpaquePointer
    private let key: PublicKey

    init(key: PublicKey) {
        guard let context = unsafe EVP_MD_CTX_new() else { OpenSSLError.crash("making a context") }
        unsafe self.context = context
        self.key = key
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
    }

    func verifies(_ signature: Span<UInt8>, of message: Span<UInt8>) -> Bool {
        // A one-shot verification ends its context (since OpenSSL 3.2 for good), so each starts it afresh.
        guard unsafe EVP_MD_CTX_reset(context) == 1,
            unsafe EVP_DigestVerifyInit(context, nil, nil, nil, key.handle) == 1
        else { OpenSSLError.crash("preparing an Ed25519 key") }
        let isGenuine = unsafe signature.withUnsafeBufferPointer { bytes in
            unsafe message.withUnsafeBufferPointer { text in
                unsafe EVP_DigestVerify(context, bytes.baseAddress, bytes.count, text.baseAddress, text.count)
                    == 1
            }
        }
        if !isGenuine { OpenSSLError.forget() }
        return isGenuine
    }
}

/// The longest ECDSA signature in DER: P-521, two integers of 66 bytes with their heads.
let derBytesMax = 144
