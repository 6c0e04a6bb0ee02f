// The keys that one issuer's tokens may be signed with: kid → key, and with the key its one algorithm.
//
// Plain data, replaced as a whole when keys change; `generation` says which of two sets is newer, and stands
// in every token that was verified with it, so that what an old set let in can be told apart.

package import Primitives

/// A set of keys.
package struct KeySet: Sendable {
    /// Counts the replacements of the set.
    package let generation: UInt64
    /// The keys in the order given.
    package let keys: [JSONWebKey]
    /// How many keys of a JWKS document could not be used and were left out.
    package let ignoredCount: Int
    // The exact bytes of the kid: String equality would take two canonically equivalent spellings for one.
    private let indexByKid: [[UInt8]: Int]

    /// A set of checked keys. Of several, each needs a `kid` of its own.
    package init(keys: [JSONWebKey], generation: UInt64) throws(JOSEError) {
        try self.init(keys: keys, generation: generation, ignoredCount: 0)
    }

    /// The usable public keys of a JWKS document (RFC 7517 §5).
    ///
    /// A set that comes over the network is public: a shared secret in it would be known to everybody, so
    /// `oct` keys are left out, and so are private keys.
    package init(jwks: JSONValue, generation: UInt64) throws(JOSEError) {
        guard let list = jwks["keys"], list.kind == .array else { throw .malformedKey }
        var keys: [JSONWebKey] = []
        var ignoredCount = 0
        for element in list.elements {
            // RFC 7517 §5: "Implementations SHOULD ignore JWKs within a JWK Set that use "kty" (key type)
            // values that are not understood by them, that are missing required members, or for which values
            // are out of the supported ranges."
            guard let key = try? JSONWebKey(jwk: element), !key.isSecret else {
                ignoredCount += 1
                continue
            }
            keys.append(key)
        }
        if keys.count > 1 {
            // Without a name a key among others can never be chosen.
            let named = keys.filter { $0.kid != nil }
            ignoredCount += keys.count - named.count
            keys = named
        }
        try self.init(keys: keys, generation: generation, ignoredCount: ignoredCount)
    }

    private init(keys: [JSONWebKey], generation: UInt64, ignoredCount: Int) throws(JOSEError) {
        var indexByKid: [[UInt8]: Int] = [:]
        for (index, key) in keys.enumerated() {
            guard let kid = key.kid else {
                if keys.count > 1 { throw .ambiguousKeyID }
                continue
            }
            if indexByKid.updateValue(index, forKey: Array(kid.utf8)) != nil { throw .ambiguousKeyID }
        }
        self.keys = keys
        self.generation = generation
        self.ignoredCount = ignoredCount
        self.indexByKid = indexByKid
    }

    /// Where the key for a token's `kid` stands in `keys`. A token without one is accepted only where there
    /// is no choice.
    func index(kid: String?) -> Int? {
        // RFC 8725 §3.10: a received `kid` is data: it is looked up exactly, and used for nothing else.
        guard let kid else { return keys.count == 1 ? 0 : nil }
        return indexByKid[Array(kid.utf8)]
    }

    /// Whether a token with this `kid` could be verified.
    package func contains(kid: String) -> Bool { index(kid: kid) != nil }

    /// The set as a public JWKS document, without any secret.
    package var jwksText: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.beginArray("keys")
        for key in keys { key.write(to: &writer) }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }
}
