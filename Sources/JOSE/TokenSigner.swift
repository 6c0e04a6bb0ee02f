// Makes access tokens: compact serialisation (RFC 7515 §3.1) under `typ` `at+jwt`, with one key.
//
// Holds the key's OpenSSL object and belongs to one owner.

internal import Crypto
internal import Primitives

/// Signs access tokens with one key.
package final class TokenSigner {
    private let generation: SignatureGeneration
    /// The encoded header and its dot: the same for every token of the key.
    private let head: [UInt8]
    private let algorithm: SignatureAlgorithm
    private let kid: String

    /// A signer for one owner.
    package init(key: SigningKey) throws(JOSEError) {
        generation = try key.makeGeneration()
        (algorithm, kid) = (key.algorithm, key.kid)
        head = Self.head(algorithm: key.algorithm, kid: key.kid)
    }

    /// How every token of a key begins: its encoded header and the dot.
    package static func head(
        algorithm: SignatureAlgorithm, kid: String, type: String = "at+jwt"
    ) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.string("alg", algorithm.name)
        // RFC 9068 §2.1: the header's `typ` SHOULD be `at+jwt`, so that no other kind of token passes for
        // one.
        writer.string("typ", type)
        writer.string("kid", kid)
        writer.endObject()
        return Base64URL.encode(writer.bytes.span) + [UInt8(ascii: ".")]
    }

    /// The compact token over a payload, which is JSON.
    package func sign(payload: [UInt8]) -> [UInt8] { sign(payload: payload, head: head) }

    /// The same for another type of token.
    package func sign(payload: [UInt8], type: String) -> [UInt8] {
        sign(payload: payload, head: Self.head(algorithm: algorithm, kid: kid, type: type))
    }

    private func sign(payload: [UInt8], head: [UInt8]) -> [UInt8] {
        let body = Base64URL.encode(payload.span)
        var token: [UInt8] = []
        token.reserveCapacity(head.count + body.count + 1 + (generation.signatureBytes * 4 + 2) / 3)
        token += head
        token += body
        let signature = generation.sign(token.span)
        token.append(UInt8(ascii: "."))
        token += Base64URL.encode(signature.span)
        return token
    }
}
