// Public keys, from the numbers of a JWK (RFC 7518 §6, RFC 8037) to an OpenSSL object, with everything
// checked that makes a key unfit: length, curve membership, strength.
//
// `PublicKeyParameters` is plain data and may be shared; a `PublicKey` is one owner's OpenSSL object and may
// not.

internal import COpenSSL

/// The curves of ES256, ES384 and ES512.
package enum EllipticCurve: UInt8, Sendable, CaseIterable {
    case p256, p384, p521

    /// The name in a JWK's `crv` (RFC 7518 §6.2.1.1).
    package var name: String {
        switch self {
        case .p256: "P-256"
        case .p384: "P-384"
        case .p521: "P-521"
        }
    }

    /// How many bytes a coordinate has, and each half of a signature.
    package var coordinateBytes: Int {
        switch self {
        case .p256: 32
        case .p384: 48
        case .p521: 66
        }
    }

    /// The hash that RFC 7518 §3.4 pairs with the curve.
    package var hash: HashFunction {
        switch self {
        case .p256: .sha256
        case .p384: .sha384
        case .p521: .sha512
        }
    }
}

/// The numbers of a public key, big-endian.
package enum PublicKeyParameters: Sendable, Hashable {
    case ellipticCurve(EllipticCurve, x: [UInt8], y: [UInt8])
    case rsa(modulus: [UInt8], exponent: [UInt8])
    case ed25519([UInt8])
}

/// A checked public key of one owner.
@safe
package final class PublicKey {
    /// The numbers it was made of.
    package let parameters: PublicKeyParameters
    let handle: OpaquePointer

    /// Checks the numbers and makes the key.
    package init(_ parameters: PublicKeyParameters) throws(KeyError) {
        self.parameters = parameters
        switch parameters {
        case .ellipticCurve(let curve, let x, let y):
            unsafe handle = try Self.ellipticCurveKey(curve, x: x, y: y)
        case .rsa(let modulus, let exponent):
            unsafe handle = try Self.rsaKey(modulus: modulus, exponent: exponent)
        case .ed25519(let bytes):
            unsafe handle = try Self.ed25519Key(bytes)
        }
    }

    deinit {
        unsafe EVP_PKEY_free(handle)
    }

    private static func ellipticCurveKey(
        _ curve: EllipticCurve, x: [UInt8], y: [UInt8]
    ) throws(KeyError) -> OpaquePointer {
        // RFC 7518 §6.2.1.2: "The length of this octet string MUST be the full size of a coordinate".
        guard x.count == curve.coordinateBytes, y.count == curve.coordinateBytes else { throw .wrongLength }
        let point = [4] + x + y
        guard let key = unsafe gateway_ec_public_key(curve.name, point, point.count) else {
            OpenSSLError.forget()
            throw .invalid
        }
        // RFC 8725 §3.4: points that are not on the curve must be refused.
        guard unsafe isSound(key) else {
            unsafe EVP_PKEY_free(key)
            throw .invalid
        }
        return unsafe key
    }

    private static func isSound(_ key: OpaquePointer) -> Bool {
        defer { OpenSSLError.forget() }
        guard let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, key, nil) else { return false }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        return unsafe EVP_PKEY_public_check(context) == 1
    }

    private static func rsaKey(modulus: [UInt8], exponent: [UInt8]) throws(KeyError) -> OpaquePointer {
        let number = modulus.drop { $0 == 0 }
        let power = exponent.drop { $0 == 0 }
        guard let lead = number.first, let last = number.last, let lowest = power.last else {
            throw .wrongLength
        }
        let bits = number.count * 8 - lead.leadingZeroBitCount
        // RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used with these algorithms."
        guard bits >= rsaBitsMin else { throw .weak }
        guard bits <= rsaBitsMax, power.count <= rsaExponentBytesMax else { throw .unsupported }
        // A modulus of two odd primes is odd, and so is every exponent that has an inverse; 1 signs nothing.
        guard last & 1 == 1, lowest & 1 == 1, !(power.count == 1 && lowest == 1) else { throw .invalid }
        let (n, e) = (Array(number), Array(power))
        guard let key = unsafe gateway_rsa_public_key(n, CInt(n.count), e, CInt(e.count)) else {
            OpenSSLError.forget()
            throw .invalid
        }
        return unsafe key
    }

    private static func ed25519Key(_ bytes: [UInt8]) throws(KeyError) -> OpaquePointer {
        guard bytes.count == 32 else { throw .wrongLength }
        guard let key = unsafe EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, bytes, bytes.count) else {
            OpenSSLError.forget()
            throw .invalid
        }
        return unsafe key
    }
}

private let rsaBitsMin = 2048
/// Larger keys only cost time: 8192 bits verify in about 0.3 ms, which is the most a shard may be held up.
private let rsaBitsMax = 8192
private let rsaExponentBytesMax = 8
