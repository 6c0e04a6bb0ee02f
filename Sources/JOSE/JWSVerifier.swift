// Signatures in compact serialisation (RFC 7515 §5.2): shape, header, key, algorithm, signature, in this
// order. What the payload says is `TokenVerifier`'s to judge.
//
// Owns one OpenSSL object per key; belongs to one owner, is not Sendable and takes no lock. Invariant: the
// payload is given out only after the signature of the key that the policy trusts, under that key's one
// algorithm.

internal import Crypto
internal import Primitives

/// Verifies compact signatures with the keys of one set.
package final class JWSVerifier {
    private struct Key {
        let algorithm: SignatureAlgorithm
        let verification: SignatureVerification
    }

    private let keySet: KeySet
    private let keys: [Key]

    /// A verifier for one owner, with OpenSSL objects of its own.
    package init(keys keySet: KeySet) throws(JOSEError) {
        self.keySet = keySet
        var keys: [Key] = []
        for key in keySet.keys {
            keys.append(Key(algorithm: key.algorithm, verification: try key.makeVerification()))
        }
        self.keys = keys
    }

    /// The payload of a token with a good signature.
    ///
    /// - Parameters:
    ///   - token: the whole token and nothing else.
    ///   - requiredType: the media type that `typ` must name, in lower case; nil where none is asked for.
    ///   - bytesMax: the longest token that is looked at.
    package func payload(
        of token: Span<UInt8>, requiredType: String?, bytesMax: Int
    ) throws(TokenRejection) -> [UInt8] {
        if token.count > bytesMax { throw .tooLarge }
        let parts = try CompactToken(token)
        let header = try JOSEHeader(parsing: CompactToken.decode(parts.header, of: token))
        // RFC 9068 §4: "The resource server MUST verify that the "typ" header value is "at+jwt" or
        // "application/at+jwt" and reject tokens carrying any other value."
        if let requiredType, !header.hasType(requiredType) { throw .wrongType }
        guard let index = keySet.index(kid: header.kid) else { throw .unknownKey }
        let key = keys[index]
        // RFC 8725 §3.1: the key knows its algorithm; the token's word only has to agree.
        guard header.algorithm == key.algorithm else { throw .wrongAlgorithm }
        // Both are decoded first: a part that is no base64url is refused for a thousandth of a signature's
        // price.
        let payload = try CompactToken.decode(parts.payload, of: token)
        let signature = try CompactToken.decode(parts.signature, of: token)
        let signingInput = token.extracting(parts.signingInput.offsets)
        guard key.verification.verifies(signature.span, of: signingInput) else { throw .wrongSignature }
        return payload
    }
}
