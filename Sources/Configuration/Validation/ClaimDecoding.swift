// Text to claims: the names that lead to one in a token, and which names are the gateway's own.
//
// Dots part the names of a path, because identity providers nest (`realm_access.roles`). Some also put dots
// into names, mostly those that are URLs: what begins as a URL is one name, and so is what stands behind a
// `=`.

package enum ClaimDecoding {
    /// What the gateway writes into its own tokens: a session's claims have none of these names.
    static let writtenNames: Set<String> = [
        "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "gen", "epoch", "client_id", "typ",
    ]

    /// `role`, `realm_access.roles`, `https://example.com/roles`, `=a.b`.
    package static func path(_ text: String) throws(ValueProblem) -> ClaimPath {
        let plain = try ValueDecoding.plainText(text, what: "the name of a claim", example: "'role'")
        if plain.hasPrefix("=") {
            let name = String(plain.dropFirst())
            if name.isEmpty {
                throw ValueProblem(
                    reason: "is not the name of a claim", help: "behind the '=' stands one name, such as =a.b"
                )
            }
            return ClaimPath([name])
        }
        if plain.hasPrefix("http://") || plain.hasPrefix("https://") { return ClaimPath([plain]) }
        let parts = plain.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.allSatisfy({ !$0.isEmpty }) else {
            throw ValueProblem(
                reason: "has an empty name in it",
                help: "dots part the names of a path, such as realm_access.roles; =a..b is one name")
        }
        return ClaimPath(parts)
    }

    /// One name, dots and all, that is none of `names`.
    static func name(
        _ text: String, writtenByGateway names: Set<String>
    ) throws(ValueProblem) -> String {
        let name = try ValueDecoding.plainText(text, what: "the name of a claim", example: "'role'")
        if names.contains(name) {
            throw ValueProblem(
                reason: "is a claim that the gateway writes itself", help: "choose another one")
        }
        return name
    }
}
