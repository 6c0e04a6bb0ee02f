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

    /// A good signature, and the key that it is of.
    struct Proof {
        let payload: [UInt8]
        let key: KeyIdentity
    }

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
    ///   - types: what `typ` may name, in lower case, an empty text for its absence; nil where it may be
    ///     anything.
    ///   - bytesMax: the longest token that is looked at.
    package func payload(
        of token: Span<UInt8>, types: [String]?, bytesMax: Int
    ) throws(TokenRejection) -> [UInt8] {
        if token.count > bytesMax { throw .tooLarge }
        let parts = try CompactToken(token)
        let header = try JOSEHeader(parsing: CompactToken.decode(parts.header, of: token))
        return try verify(token, parts, header, types: types).payload
    }

    /// Verifies a token that has been taken apart.
    func verify(
        _ token: Span<UInt8>, _ parts: CompactToken, _ header: JOSEHeader, types: [String]?
    ) throws(TokenRejection) -> Proof {
        // RFC 9068 §4: "The resource server MUST verify that the "typ" header value is "at+jwt" or
        // "application/at+jwt" and reject tokens carrying any other value."
        if let types, !types.contains(where: header.hasType) { throw .wrongType }
        guard let index = keySet.index(kid: header.kid, algorithm: header.algorithm) else {
            throw keySet.refusal(kid: header.kid)
        }
        let key = keys[index]
        // RFC 8725 §3.1: the key knows its algorithm; the token's word only has to agree.
        guard header.algorithm == key.algorithm else { throw .wrongAlgorithm }
        // Both are decoded first: a part that is no base64url is refused for a thousandth of a signature's
        // price.
        let payload = try CompactToken.decode(parts.payload, of: token)
        let signature = try CompactToken.decode(parts.signature, of: token)
        let signingInput = token.extracting(parts.signingInput.offsets)
        guard key.verification.verifies(signature.span, of: signingInput) else { throw .wrongSignature }
        return Proof(payload: payload, key: keySet.keys[index].identity)
    }
}
