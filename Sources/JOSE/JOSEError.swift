// What keys, policies and claims of our own can be refused for: faults of configuration and of callers, met
// at start, reload or login. What a client's token is refused for is a `TokenRejection`.

package import Crypto

/// A key, policy or claims set that cannot be used.
package enum JOSEError: Error, Sendable, Equatable {
    /// The JWK is no object, or a member is missing or has the wrong form.
    case malformedKey
    /// `kty`, `crv`, `use`, `key_ops` or `alg` name something that is not used here.
    case unsupportedKey
    /// `alg` is not an algorithm of the key's type and curve (RFC 8725 §3.1).
    case algorithmMismatch
    /// A key that should be public carries private parts.
    case privateKeyExposed
    /// The numbers are no fit key.
    case unfitKey(KeyError)
    /// A shared secret without a name of its own: none may be derived from it.
    case namelessSecret
    /// Two keys of one set have the same `kid`, or one of several has none.
    case ambiguousKeyID
    /// A policy without an issuer or an audience would accept what it should not.
    case incompletePolicy
    /// A session's claims are no object, too large, or use a name that the gateway writes itself.
    case unfitSessionClaims(SessionClaimsFault)
}

/// What is wrong with a session's claims.
package enum SessionClaimsFault: Sendable, Equatable {
    case notAnObject
    /// More bytes than a token has room for.
    case tooLarge(bytesMax: Int)
    /// A name that belongs to the gateway.
    case reservedName(String)
    /// `scope` is no text that can stand in an upstream's header.
    case unfitScope
}
