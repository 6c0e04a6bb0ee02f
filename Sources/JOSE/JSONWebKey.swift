// A JSON Web Key (RFC 7517) as plain bytes: its material, its `kid`, and the one algorithm it may be used
// with.
//
// Checked when it is made, by building the OpenSSL object once; afterwards it is data, so it can be handed to
// every shard, and each builds its own objects from it. Invariant: material and algorithm fit each other.

package import Crypto
package import Primitives

/// A key that verifies signatures: public, or a shared secret.
package struct JSONWebKey: Sendable {
    /// What the key is made of.
    enum Material: Sendable {
        case publicKey(PublicKeyParameters)
        case secret([UInt8])
    }

    /// The key's name in token headers, if it has one.
    package let kid: String?
    /// The one algorithm that the key is used with. RFC 8725 §3.1: "Each key MUST be used with exactly one
    /// algorithm".
    package let algorithm: SignatureAlgorithm
    let material: Material
    /// Tells the key from every other one, also from one that has taken over its name.
    package let identity: KeyIdentity

    /// Whether the key is a shared secret, which must never be published.
    package var isSecret: Bool {
        if case .secret = material { true } else { false }
    }

    /// How many bytes a signature, or tag, has.
    package var signatureBytes: Int {
        switch material {
        case .secret: algorithm.hash.byteCount
        case .publicKey(.ellipticCurve(let curve, _, _)): curve.coordinateBytes * 2
        case .publicKey(.rsa(let modulus, _)): modulus.count
        case .publicKey(.ed25519): 64
        }
    }

    /// Checks a JWK.
    ///
    /// - Parameters:
    ///   - jwk: the object.
    ///   - assumedAlgorithm: the algorithm of a key that names none; without it the curve decides, and
    ///     RSA means RS256.
    package init(jwk: JSONValue, assumedAlgorithm: SignatureAlgorithm? = nil) throws(JOSEError) {
        guard jwk.kind == .object, let type = jwk["kty"]?.string else { throw .malformedKey }
        let kid = try Self.text(jwk["kid"])
        // RFC 7515 §4.1.4: a `kid` is a string; one of kilobytes is an attack, not a name.
        if let kid, kid.utf8.isEmpty || kid.utf8.count > kidBytesMax { throw .malformedKey }
        try Self.checkUse(jwk)
        var named = assumedAlgorithm
        if let name = try Self.text(jwk["alg"]) {
            guard let algorithm = SignatureAlgorithm(name: name) else { throw .unsupportedKey }
            named = algorithm
        }
        switch type {
        case "oct":
            guard let named else { throw .algorithmMismatch }
            try self.init(secret: Self.bytes(jwk["k"]), algorithm: named, kid: kid)
        case "EC", "RSA", "OKP":
            // RFC 7517 §9.2: private parts are not for those who verify; a key that carries them has leaked.
            let isPrivate = jwk.members.contains { privateMembers.contains($0.name) }
            if isPrivate { throw .privateKeyExposed }
            let parameters = try Self.publicParameters(jwk, type: type)
            try self.init(parameters, algorithm: named ?? Self.usualAlgorithm(of: parameters), kid: kid)
        default:
            throw .unsupportedKey
        }
    }

    /// A shared secret of at least the hash's length.
    package init(secret: [UInt8], algorithm: SignatureAlgorithm, kid: String?) throws(JOSEError) {
        self.kid = kid
        self.algorithm = algorithm
        material = .secret(secret)
        identity = KeyIdentity(material, algorithm, kid)
        _ = try makeVerification()
    }

    /// A public key.
    package init(
        _ parameters: PublicKeyParameters, algorithm: SignatureAlgorithm, kid: String?
    ) throws(JOSEError) {
        self.kid = kid
        self.algorithm = algorithm
        material = .publicKey(parameters)
        identity = KeyIdentity(material, algorithm, kid)
        _ = try makeVerification()
    }

    /// The OpenSSL object for one owner. Throws when material and algorithm do not fit.
    func makeVerification() throws(JOSEError) -> SignatureVerification {
        do throws(KeyError) {
            switch (material, algorithm.scheme) {
            case (.secret(let bytes), nil):
                return try SignatureVerification(secret: bytes.span, hash: algorithm.hash)
            case (.publicKey(.ellipticCurve(let curve, _, _)), .ecdsa?) where curve != algorithm.curve:
                throw .unsupported
            case (.publicKey(let parameters), let scheme?):
                return try SignatureVerification(key: PublicKey(parameters), scheme: scheme)
            default:
                throw .unsupported
            }
        } catch {
            throw error == .unsupported ? .algorithmMismatch : .unfitKey(error)
        }
    }
}

// MARK: - Reading the members

extension JSONWebKey {
    /// RFC 7517 §4.2, §4.3: a key that says what it is for is used for nothing else.
    private static func checkUse(_ jwk: JSONValue) throws(JOSEError) {
        if let use = try text(jwk["use"]), use != "sig" { throw .unsupportedKey }
        guard let operations = jwk["key_ops"] else { return }
        guard operations.kind == .array else { throw .malformedKey }
        if !operations.elements.contains(where: { $0.string == "verify" }) { throw .unsupportedKey }
    }

    private static func publicParameters(
        _ jwk: JSONValue, type: String
    ) throws(JOSEError) -> PublicKeyParameters {
        if type == "RSA" {
            return try .rsa(modulus: bytes(jwk["n"]), exponent: bytes(jwk["e"]))
        }
        guard let curveName = jwk["crv"]?.string else { throw .malformedKey }
        if type == "OKP" {
            guard curveName == "Ed25519" else { throw .unsupportedKey }
            return try .ed25519(bytes(jwk["x"]))
        }
        guard let curve = EllipticCurve.allCases.first(where: { $0.name == curveName }) else {
            throw .unsupportedKey
        }
        return try .ellipticCurve(curve, x: bytes(jwk["x"]), y: bytes(jwk["y"]))
    }

    private static func usualAlgorithm(of parameters: PublicKeyParameters) -> SignatureAlgorithm {
        switch parameters {
        case .ellipticCurve(.p256, _, _): .es256
        case .ellipticCurve(.p384, _, _): .es384
        case .ellipticCurve(.p521, _, _): .es512
        case .rsa: .rs256
        case .ed25519: .edDSA
        }
    }

    private static func bytes(_ value: JSONValue?) throws(JOSEError) -> [UInt8] {
        guard let text = value?.string, let bytes = Base64URL.decode(text.utf8.span) else {
            throw .malformedKey
        }
        return bytes
    }

    /// An optional string; a member of another kind is an error, not an absence.
    private static func text(_ value: JSONValue?) throws(JOSEError) -> String? {
        guard let value else { return nil }
        guard let text = value.string else { throw .malformedKey }
        return text
    }
}

// MARK: - Publishing

extension JSONWebKey {
    /// The key's RFC 7638 thumbprint in base64url; nil for a secret, whose thumbprint would help to guess it.
    package var thumbprint: String? {
        // RFC 7638 §3: only the required members, in lexicographic order, without white space.
        guard case .publicKey(let parameters) = material else { return nil }
        var writer = JSONWriter()
        writer.beginObject()
        for (name, value) in Self.requiredMembers(of: parameters) { writer.string(name, value) }
        writer.endObject()
        return Base64URL.text(SHA256Hasher().digest(writer.bytes.span).bytes.span)
    }

    /// Writes the public key as a JWK; a secret writes nothing.
    func write(to writer: inout JSONWriter) {
        guard case .publicKey(let parameters) = material else { return }
        writer.beginObject()
        for (name, value) in Self.requiredMembers(of: parameters) { writer.string(name, value) }
        writer.string("use", "sig")
        writer.string("alg", algorithm.name)
        if let kid { writer.string("kid", kid) }
        writer.endObject()
    }

    fileprivate static func requiredMembers(of parameters: PublicKeyParameters) -> [(String, String)] {
        switch parameters {
        case .ellipticCurve(let curve, let x, let y):
            [
                ("crv", curve.name), ("kty", "EC"), ("x", Base64URL.text(x.span)),
                ("y", Base64URL.text(y.span)),
            ]
        case .rsa(let modulus, let exponent):
            [("e", Base64URL.text(exponent.span)), ("kty", "RSA"), ("n", Base64URL.text(modulus.span))]
        case .ed25519(let bytes):
            [("crv", "Ed25519"), ("kty", "OKP"), ("x", Base64URL.text(bytes.span))]
        }
    }
}

extension JSONWebKey: CustomStringConvertible, CustomReflectable {
    /// The key's name and algorithm, never its material.
    package var description: String { "\(algorithm.name) key \(kid ?? "without kid")" }

    /// Nothing: a dump must not show a secret.
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// What a remembered token is bound to: name, algorithm and material of its key.
package struct KeyIdentity: Hashable, Sendable {
    private let digest: SHA256Digest

    init(_ material: JSONWebKey.Material, _ algorithm: SignatureAlgorithm, _ kid: String?) {
        var writer = JSONWriter()
        writer.beginObject()
        writer.string("alg", algorithm.name)
        if let kid { writer.string("kid", kid) }
        switch material {
        case .publicKey(let parameters):
            for (name, value) in JSONWebKey.requiredMembers(of: parameters) { writer.string(name, value) }
        case .secret(let bytes):
            writer.string("k", Base64URL.text(SHA256Hasher().digest(bytes.span).bytes.span))
        }
        writer.endObject()
        digest = SHA256Hasher().digest(writer.bytes.span)
    }
}

/// RFC 7518 §6.2.2, §6.3.2: what only the owner of a key may know.
private let privateMembers = ["d", "p", "q", "dp", "dq", "qi", "oth"]

/// The longest `kid` of a key or a token.
let kidBytesMax = 256
