// The keys that one issuer's tokens may be signed with: kid → key, and with the key its one algorithm.
//
// Plain data, replaced as a whole when keys change. A verified token carries the identity of its key, so that
// what a withdrawn key let in can be told apart.

package import Primitives

/// A set of keys.
package struct KeySet: Sendable {
    /// The keys in the order given.
    package let keys: [JSONWebKey]
    /// How many keys of a JWKS document could not be used and were left out.
    package let ignoredCount: Int
    // The exact bytes of the kid: String equality would take two canonically equivalent spellings for one.
    private let indexByKid: [[UInt8]: Int]
    /// Keys that have been of the set, and whether they were taken back.
    private let formerByKid: [[UInt8]: Bool]

    /// A set of checked keys. Of several, each needs a `kid` of its own, but for one of each algorithm.
    ///
    /// - Parameter former: keys that verify nothing any more, and are not taken for a stranger's.
    package init(keys: [JSONWebKey], former: [FormerKey] = []) throws(JOSEError) {
        let former = Dictionary(former.map { (Array($0.kid.utf8), $0.isWithdrawn) }) { $0 || $1 }
        try self.init(keys: keys, former: former, ignoredCount: 0)
    }

    /// The usable public keys of a JWKS document (RFC 7517 §5).
    ///
    /// A set that comes over the network is public: a shared secret in it would be known to everybody, so
    /// `oct` keys are left out, and so are private keys.
    ///
    /// - Parameter algorithms: those that the issuer signs with, where that is known: RSA keys that name no
    ///   algorithm are taken for the first of them that fits.
    package init(jwks: JSONValue, algorithms: [SignatureAlgorithm] = []) throws(JOSEError) {
        guard let list = jwks["keys"], list.kind == .array else { throw .malformedKey }
        var keys: [JSONWebKey] = []
        var ignoredCount = 0
        for element in list.elements {
            // RFC 7517 §5: "Implementations SHOULD ignore JWKs within a JWK Set that use "kty" (key type)
            // values that are not understood by them, that are missing required members, or for which values
            // are out of the supported ranges."
            let assumed = element["kty"]?.string == "RSA" ? algorithms.first { $0.isRSA } : nil
            guard keys.count < Self.keysMax,
                let key = try? JSONWebKey(jwk: element, assumedAlgorithm: assumed), !key.isSecret
            else {
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
        try self.init(keys: keys, former: [:], ignoredCount: ignoredCount)
    }

    private init(
        keys: [JSONWebKey], former: [[UInt8]: Bool], ignoredCount: Int
    ) throws(JOSEError) {
        var indexByKid: [[UInt8]: Int] = [:]
        var nameless: Set<SignatureAlgorithm> = []
        for (index, key) in keys.enumerated() {
            if let kid = key.kid {
                if indexByKid.updateValue(index, forKey: Array(kid.utf8)) != nil { throw .ambiguousKeyID }
            } else if !nameless.insert(key.algorithm).inserted {
                throw .ambiguousKeyID
            }
        }
        self.keys = keys
        self.ignoredCount = ignoredCount
        self.indexByKid = indexByKid
        formerByKid = former
    }

    /// Where the key for a token stands in `keys`. A token without a `kid`, or with one that no key has, is
    /// for the nameless key of its algorithm; without such a key it needs a name, unless there is no choice.
    func index(kid: String?, algorithm: SignatureAlgorithm) -> Int? {
        // RFC 8725 §3.10: a received `kid` is data: it is looked up exactly, and used for nothing else.
        if let kid, let index = indexByKid[Array(kid.utf8)] { return index }
        if kid == nil && keys.count == 1 { return 0 }
        let nameless = keys.firstIndex { $0.kid == nil && $0.algorithm == algorithm }
        if kid != nil || nameless != nil { return nameless }
        let fitting = keys.indices.filter { keys[$0].algorithm == algorithm }
        return fitting.count == 1 ? fitting[0] : nil
    }

    /// What a token is refused for whose key is not in the set. All tokens of a key that went by itself have
    /// expired: to say so, instead of "unknown", is what sends a browser to refresh.
    func refusal(kid: String?) -> TokenRejection {
        switch kid.flatMap({ formerByKid[Array($0.utf8)] }) {
        case nil: .unknownKey
        case false?: .expired
        case true?: .revoked
        }
    }

    /// The keys that have been taken back since `older` was in force.
    package func withdrawn(since older: KeySet) -> [KeyIdentity] {
        older.keys.filter { key in
            key.kid.map { formerByKid[Array($0.utf8)] == true } ?? false
        }.map(\.identity)
    }

    /// The set with the keys of another one that it lacks.
    package func joined(with other: KeySet) -> KeySet {
        let added = other.keys.filter { key in !keys.contains { $0.kid == key.kid } }
        return (try? KeySet(keys: keys + added, former: formerByKid, ignoredCount: ignoredCount)) ?? self
    }

    /// Whether a key has that very name.
    func hasKey(named kid: String?) -> Bool { kid.map { indexByKid[Array($0.utf8)] != nil } ?? false }

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

    /// More keys of a JWKS document are left out: each costs every shard an OpenSSL object.
    private static let keysMax = 64
}
