// What an `issuer` block means: whose access tokens are accepted beside our own, by which keys, and what
// they must say.
//
// Files are named here and not opened, and no address is asked, so that `check` works on a machine without
// keys and without a network.

/// An `issuer` block.
package struct IssuerConfiguration: Sendable, Equatable {
    /// The `iss` of its tokens, exactly as it is written.
    package var issuer: String
    /// One of them must be in the token's audience; empty for `any`.
    package var audiences: [String] = []
    /// At least one source.
    package var keys = IssuerKeys()
    /// The algorithms that are accepted; empty for every one that a key of the issuer is for.
    package var algorithms: [String] = []
    /// The `typ` values that are accepted, in lower case, `none` for a token that has none. Empty: none,
    /// `jwt`, `at+jwt` and `application/at+jwt`.
    package var types: [String] = []
    package var subjectClaim = ClaimPath(["sub"])
    package var scopeClaim = ClaimPath(["scope"])
    package var audienceClaim = "aud"
    /// What every token must say.
    package var requirements: [ClaimRequirement] = []
    package var leewayMilliseconds: Int64 = 30_000
    /// The longest time from `iat` to `exp` that is accepted; nil is any.
    package var lifetimeMaxMilliseconds: Int64?
    /// Whether upstreams see the token that a request came with.
    package var isForwarded = true
    /// Where the block is: `gateway.conf:12`.
    package var place = ""

    package init(issuer: String) { self.issuer = issuer }
}

/// Where the keys of an issuer come from.
package struct IssuerKeys: Sendable, Equatable {
    package var remote: RemoteKeys?
    /// Files with a JWK set each (RFC 7517 §5). Never beside `remote`.
    package var files: [FileReference] = []
    package var publicKeys: [PublicKeyFile] = []
    package var secrets: [SharedSecret] = []

    package init() {}
}

/// Keys that are fetched, and fetched again.
package struct RemoteKeys: Sendable, Equatable {
    package enum Address: Sendable, Equatable {
        /// A JWK set.
        case jwks(URLText)
        /// The issuer's own description, which says where its JWK set is (OpenID Connect Discovery 1.0 §4).
        case discovery(URLText)
    }

    package var address: Address
    package var everyMilliseconds: Int64 = 600_000
    /// For one fetch, from the opening of the connection to the last byte.
    package var timeoutMilliseconds: Int64 = 5_000
    /// Whose word is taken for the servers' certificates; nil: the system's authorities.
    package var certificateAuthority: FileReference?

    package init(address: Address) { self.address = address }
}

/// `public_key ALG FILE [kid=ID]`: a PEM file.
package struct PublicKeyFile: Sendable, Equatable {
    package var algorithm: String
    package var file: FileReference
    /// nil: for tokens of any `kid`, or none.
    package var kid: String?

    package init(algorithm: String, file: FileReference, kid: String? = nil) {
        self.algorithm = algorithm
        self.file = file
        self.kid = kid
    }
}

/// `secret ALG SECRET [kid=ID]`: what HMACs are made with. Its bytes are the key, as many as the hash has
/// or more.
package struct SharedSecret: Sendable, Equatable {
    package var algorithm: String
    package var secret: SecretText
    /// nil: for tokens of any `kid`, or none.
    package var kid: String?

    package init(algorithm: String, secret: SecretText, kid: String? = nil) {
        self.algorithm = algorithm
        self.secret = secret
        self.kid = kid
    }
}

/// An http or https URL in the parts that a request needs.
package struct URLText: Sendable, Equatable {
    package var isTLS: Bool
    /// A name in lower case, or a literal address without brackets.
    package var host: String
    package var port: UInt16
    /// With the query; begins with a slash.
    package var path: String

    package init(isTLS: Bool, host: String, port: UInt16, path: String) {
        self.isTLS = isTLS
        self.host = host
        self.port = port
        self.path = path
    }

    package var isLoopback: Bool { host == "localhost" || IPLiteral.isLoopback(host) }

    /// The host, with the port where it is not the scheme's own: what `Host` carries.
    package var authority: String {
        let bracketed = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
        return port == (isTLS ? 443 : 80) ? bracketed : "\(bracketed):\(port)"
    }

    /// The whole, as a URL is written.
    package var text: String { "\(isTLS ? "https" : "http")://\(authority)\(path)" }
}

/// Where a claim is in a token: the name of a member, and of a member of that one, and so on.
package struct ClaimPath: Sendable, Equatable {
    /// At least one.
    package var parts: [String]

    package init(_ parts: [String]) { self.parts = parts }
}
