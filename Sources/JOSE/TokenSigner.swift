// The gateway's signing keys and their use: ES256 in compact serialisation (RFC 7515 §3.1) under `typ`
// `at+jwt`.
//
// A `SigningKey` is plain data and may be shared; a `TokenSigner` holds the OpenSSL object and belongs to one
// owner.

internal import Crypto
internal import Primitives

/// A signing key: PEM text, public half and name.
package final class SigningKey: Sendable {
    /// The private key as PKCS#8 in PEM: what the state directory keeps, readable by its owner only.
    package let pem: [UInt8]
    /// The public half, for verifiers and the JWKS.
    package let publicKey: JSONWebKey
    /// The key's name: the RFC 7638 thumbprint of its public half.
    package let kid: String

    /// A fresh ES256 key.
    package static func generate() throws(JOSEError) -> SigningKey {
        try SigningKey(PrivateKey.generate())
    }

    /// The key of a PEM text; only P-256 without a passphrase.
    package convenience init(pem: [UInt8]) throws(JOSEError) {
        try self.init(Self.privateKey(pem))
    }

    /// The OpenSSL object for one owner.
    fileprivate static func privateKey(_ pem: [UInt8]) throws(JOSEError) -> PrivateKey {
        do throws(KeyError) {
            return try PrivateKey(pem: pem)
        } catch {
            throw .unfitKey(error)
        }
    }

    private init(_ key: PrivateKey) throws(JOSEError) {
        let parameters = key.publicParameters
        let unnamed = try JSONWebKey(parameters, algorithm: .es256, kid: nil)
        guard let thumbprint = unnamed.thumbprint else { throw .unsupportedKey }
        pem = key.pem
        kid = thumbprint
        publicKey = try JSONWebKey(parameters, algorithm: .es256, kid: thumbprint)
    }
}

extension SigningKey: CustomReflectable {
    /// Nothing: a dump must not show the private key.
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Signs access tokens with one key.
package final class TokenSigner {
    private let key: PrivateKey
    /// The encoded header and its dot: the same for every token of the key.
    private let head: [UInt8]
    private let kid: String

    /// A signer for one owner.
    package init(key: SigningKey) throws(JOSEError) {
        kid = key.kid
        self.key = try SigningKey.privateKey(key.pem)
        head = Self.head(kid: key.kid)
    }

    /// How every token of a key begins: its encoded header and the dot.
    package static func head(kid: String, type: String = "at+jwt") -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.string("alg", SignatureAlgorithm.es256.name)
        // RFC 9068 §2.1: the header's `typ` SHOULD be `at+jwt`, so that no other kind of token passes for
        // one.
        writer.string("typ", type)
        writer.string("kid", kid)
        writer.endObject()
        return Base64URL.encode(writer.bytes.span) + [UInt8(ascii: ".")]
    }

    /// The compact token over a payload, which is JSON.
    package func sign(payload: [UInt8]) throws(JOSEError) -> [UInt8] {
        try sign(payload: payload, head: head)
    }

    /// The same for another type of token.
    package func sign(payload: [UInt8], type: String) throws(JOSEError) -> [UInt8] {
        try sign(payload: payload, head: Self.head(kid: kid, type: type))
    }

    private func sign(payload: [UInt8], head: [UInt8]) throws(JOSEError) -> [UInt8] {
        let body = Base64URL.encode(payload.span)
        var token: [UInt8] = []
        token.reserveCapacity(head.count + body.count + 1 + 86)
        token += head
        token += body
        let signature = key.sign(token.span)
        token.append(UInt8(ascii: "."))
        token += Base64URL.encode(signature.span)
        return token
    }
}
