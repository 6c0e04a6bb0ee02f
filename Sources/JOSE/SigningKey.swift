// The keys that the gateway signs with: made here for an algorithm, or read from a file for one. The
// algorithm belongs to the key (RFC 8725 §3.1), and so does its name.
//
// Plain data, checked when it is made, so that it may be shared; `TokenSigner` makes its own objects from it.

internal import Crypto
internal import Primitives

/// A signing key: private material, what verifies it, and its name.
package final class SigningKey: Sendable {
    private enum Material: Sendable {
        /// PKCS#8 in PEM.
        case pem([UInt8])
        case secret([UInt8])
    }

    /// The one algorithm that it signs with.
    package let algorithm: SignatureAlgorithm
    /// The key's name: the RFC 7638 thumbprint of its public half, unless another was given. A shared secret
    /// has a random one: whatever is derived from it would help to guess it.
    package let kid: String
    /// What verifies its signatures: the public half, or the shared secret itself.
    package let verificationKey: JSONWebKey
    private let material: Material

    /// A fresh key.
    package static func generate(_ algorithm: SignatureAlgorithm) throws(JOSEError) -> SigningKey {
        switch algorithm.privateKeyKind {
        case nil:
            let secret = RandomBytes.make(algorithm.hash.byteCount)
            return try SigningKey(algorithm, secret: secret, kid: randomName())
        case let kind?:
            return try SigningKey(algorithm, PrivateKey.generate(kind), kid: nil)
        }
    }

    /// The key of a file: PEM without a passphrase, or for an HMAC the secret, in base64url or as it is.
    ///
    /// - Parameter kid: its name; nil is the thumbprint. A shared secret needs one.
    package convenience init(
        _ algorithm: SignatureAlgorithm, file: [UInt8], kid: String?
    ) throws(JOSEError) {
        if let kid, kid.utf8.isEmpty || kid.utf8.count > kidBytesMax { throw .malformedKey }
        if algorithm.privateKeyKind == nil {
            guard let kid else { throw .namelessSecret }
            try self.init(algorithm, secret: Self.secret(in: file, for: algorithm), kid: kid)
            return
        }
        let key: PrivateKey
        do throws(KeyError) {
            key = try PrivateKey(pem: file)
        } catch {
            throw .unfitKey(error)
        }
        try self.init(algorithm, key, kid: kid)
    }

    private init(_ algorithm: SignatureAlgorithm, _ key: PrivateKey, kid: String?) throws(JOSEError) {
        let unnamed = try JSONWebKey(key.publicParameters, algorithm: algorithm, kid: nil)
        guard let name = kid ?? unnamed.thumbprint else { throw .unsupportedKey }
        self.algorithm = algorithm
        self.kid = name
        verificationKey = try JSONWebKey(key.publicParameters, algorithm: algorithm, kid: name)
        material = .pem(key.pem)
    }

    private init(_ algorithm: SignatureAlgorithm, secret: [UInt8], kid: String) throws(JOSEError) {
        self.algorithm = algorithm
        self.kid = kid
        verificationKey = try JSONWebKey(secret: secret, algorithm: algorithm, kid: kid)
        material = .secret(secret)
    }

    /// The text from which `init(_:file:kid:)` makes the key again: what the state directory keeps, readable
    /// by its owner only.
    package var fileText: [UInt8] {
        switch material {
        case .pem(let pem): pem
        case .secret(let secret): Base64URL.encode(secret.span) + [UInt8(ascii: "\n")]
        }
    }

    /// The OpenSSL object for one owner.
    func makeGeneration() throws(JOSEError) -> SignatureGeneration {
        do throws(KeyError) {
            switch (material, algorithm.scheme) {
            case (.pem(let pem), let scheme?):
                return try SignatureGeneration(key: PrivateKey(pem: pem), scheme: scheme)
            case (.secret(let secret), nil):
                return try SignatureGeneration(secret: secret.span, hash: algorithm.hash)
            default: throw .unsupported
            }
        } catch {
            throw .unfitKey(error)
        }
    }
}

extension SigningKey: CustomStringConvertible, CustomReflectable {
    package var description: String { verificationKey.description }

    /// Nothing: a dump must not show the private key.
    package var customMirror: Mirror { Mirror(self, children: []) }
}

// MARK: - Secrets in files

extension SigningKey {
    /// A text is base64url where that gives enough bytes, and else the secret itself, without the line end
    /// that editors leave. Bytes that are no text are taken as they are, to the last one.
    private static func secret(
        in file: [UInt8], for algorithm: SignatureAlgorithm
    ) throws(JOSEError) -> [UInt8] {
        // Somebody's public key as the secret of a MAC is known to everybody (RFC 8725 §2.1).
        guard file.count <= secretBytesMax, !file.contains("-----BEGIN".utf8) else { throw .malformedKey }
        let isText = file.allSatisfy { (0x20..<0x7F).contains($0) || $0 == 0x0A || $0 == 0x0D }
        if !isText { return file }
        var text = file[...]
        while let last = text.last, last == 0x0A || last == 0x0D { text.removeLast() }
        if let decoded = Base64URL.decode(Array(text).span), decoded.count >= algorithm.hash.byteCount {
            return decoded
        }
        return Array(text)
    }

    private static func randomName() -> String { Base64URL.text(RandomBytes.make(16).span) }

    private static let secretBytesMax = 4096
}

extension SignatureAlgorithm {
    /// What is made for it; nil for the HMACs, which have a secret of the hash's length (RFC 7518 §3.2).
    fileprivate var privateKeyKind: PrivateKeyKind? {
        if let curve { return .ellipticCurve(curve) }
        switch self {
        case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: return .rsa(bits: rsaBits)
        case .edDSA: return .ed25519
        default: return nil
        }
    }
}

/// NIST SP 800-57 part 1 §5.6.2: 112 bits of security, which RSA with 2048 bits has, are good until 2030;
/// 3072 bits have 128.
private let rsaBits = 3072
