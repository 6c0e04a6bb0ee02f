// What the gateway's own tokens are: the `access_token` and `refresh_token` blocks, and the older
// credentials that a refresh token is given for.

/// The `access_token` block.
package struct AccessTokenConfiguration: Sendable, Equatable {
    /// `iss` of our tokens; the public URL where nothing else is said.
    package var issuer = "http://localhost:8080"
    /// `aud` of our tokens.
    package var audience = "api"
    /// What new tokens are signed with, as JWS names it (RFC 7518 §3.1): that of the first of `signingKeys`,
    /// where there are any.
    package var algorithm = "ES256"
    /// The first signs, the others only verify; empty where the gateway makes its keys itself.
    package var signingKeys: [SigningKeyFile] = []
    /// How old a key that the gateway made signs; nil is for ever. Without meaning where `signingKeys` are
    /// given.
    package var keyLifetimeMilliseconds: Int64? = 90 * 86_400_000
    /// How long a token is good; with `useExpiry`, how long it is good at the refresh endpoint.
    package var lifetimeMilliseconds: Int64 = 15 * 60_000
    /// By up to how much of its lifetime each token is shortened, in percent.
    package var jitterPercent = 5
    package var leewayMilliseconds: Int64 = 30_000
    /// How long an event stream or a WebSocket outlives the access token that it was opened with, unless its
    /// session is refreshed meanwhile.
    package var streamGraceMilliseconds: Int64 = 60_000
    /// Whether upstreams see the token that a request came with.
    package var isForwarded = false
    /// `style single`: one token with two expiries; nil for access tokens beside refresh tokens.
    package var useExpiry: UseExpiry?

    package init() {}
}

/// `signing_key ALG FILE [kid=ID]`.
package struct SigningKeyFile: Sendable, Equatable {
    package var algorithm: String
    /// A private key as PEM; for HS256, HS384 and HS512 the secret.
    package var file: FileReference
    /// nil: the gateway gives it one.
    package var kid: String?

    package init(algorithm: String, file: FileReference, kid: String? = nil) {
        self.algorithm = algorithm
        self.file = file
        self.kid = kid
    }
}

/// `use_expiry NAME DURATION`: until when a single token is good for requests. Its `exp` says until when it
/// is good at the refresh endpoint.
package struct UseExpiry: Sendable, Equatable {
    /// The claim that says it, in seconds since 1970 as `exp` does.
    package var claim: String
    /// Shorter than the token's own lifetime.
    package var lifetimeMilliseconds: Int64

    package init(claim: String, lifetimeMilliseconds: Int64) {
        self.claim = claim
        self.lifetimeMilliseconds = lifetimeMilliseconds
    }
}

/// The `refresh_token` block.
package struct RefreshTokenConfiguration: Sendable, Equatable {
    package enum Delivery: String, Sendable { case auto, cookie, body }
    package enum Format: String, Sendable {
        /// Says nothing to who finds one.
        case opaque
        /// A signed token, checked by its signature before anything else.
        case jwt
    }

    /// The one prefix that refresh tokens go to.
    package var path = "/refresh"
    package var idleLifetimeMilliseconds: Int64 = 7 * 86_400_000
    package var maxLifetimeMilliseconds: Int64 = 90 * 86_400_000
    package var cookieRaceWindowMilliseconds: Int64 = 30_000
    package var bodyRaceWindowMilliseconds: Int64 = 60_000
    /// How many sessions a subject may have; nil is no limit.
    package var sessionsPerSubject: Int? = 100
    package var delivery = Delivery.auto
    package var format = Format.opaque
    /// The largest request body that a browser may be asked to send again after a bounce over the refresh
    /// endpoint; 0 turns the bounce off.
    package var bounceBodyBytes: UInt64 = 1024 * 1024
    /// How many calls of the refresh endpoints one client address may make; nil is no limit.
    package var rate: RateConfiguration?
    /// Who is asked at each refresh whether the subject may still come in; nil is nobody.
    package var accessCheck: AccessCheckConfiguration?
    /// The older credentials that a session is begun for, in the order of the file.
    package var exchanges: [ExchangeConfiguration] = []

    package init() {}
}

/// `access_check UPSTREAM PATH`.
package struct AccessCheckConfiguration: Sendable, Equatable {
    /// Index into `GatewayConfiguration.upstreams`.
    package var upstream: Int
    /// A path, maybe with a query.
    package var path: String
    package var timeoutMilliseconds: Int64 = 2_000

    package init(upstream: Int, path: String) {
        self.upstream = upstream
        self.path = path
    }
}

// MARK: - Older credentials

/// An `exchange` block: a credential of before the gateway, for which a session is begun.
package struct ExchangeConfiguration: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case token(LegacyTokenConfiguration)
        case cookie(LegacyCookieConfiguration)
    }

    /// From this second on, counted since 1970, nothing is exchanged any more: the midnight (UTC) that ends
    /// the day which was given.
    package var until: Int64
    package var kind: Kind
    /// Where it is given: `gateway.conf:12`.
    package var place: String

    package init(until: Int64, kind: Kind, place: String) {
        self.until = until
        self.kind = kind
        self.place = place
    }
}

/// `exchange token`: a JWT that something else has signed.
package struct LegacyTokenConfiguration: Sendable, Equatable {
    /// Its `iss`; nil: whatever it says, or nothing.
    package var issuer: String?
    /// One of them must be in its `aud`; empty: whatever it says, or nothing.
    package var audiences: [String] = []
    /// At least one; never remote ones.
    package var keys = IssuerKeys()
    /// As `IssuerConfiguration.types`.
    package var types: [String] = []
    /// The cookie that it comes in; nil: where a refresh token comes in, or in `Authorization`.
    package var cookieName: String?
    package var subjectClaim = ClaimPath(["sub"])
    /// The names of the claims that pass into the session's.
    package var claims: [String] = []
    package var leewayMilliseconds: Int64 = 30_000
    /// How long after its `exp` it is still taken.
    package var expiredMilliseconds: Int64 = 0

    package init() {}
}

/// `exchange cookie NAME`: a cookie that an upstream vouches for.
package struct LegacyCookieConfiguration: Sendable, Equatable {
    package var name: String
    /// Index into `GatewayConfiguration.upstreams`.
    package var upstream: Int
    /// What is asked for there with the cookie: a path, maybe with a query.
    package var path: String
    package var timeoutMilliseconds: Int64 = 2_000

    package init(name: String, upstream: Int, path: String) {
        self.name = name
        self.upstream = upstream
        self.path = path
    }
}
