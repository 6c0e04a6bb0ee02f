// What a validated gateway.conf means: plain values, every default filled in. The rest of the gateway sees
// only this, never text. Durations are milliseconds, sizes bytes; each name says which.

/// A whole, valid configuration.
package struct GatewayConfiguration: Sendable, Equatable {
    /// Where clients connect.
    package var listeners: [ListenAddress] = []
    /// How many shards run; nil is one per core (`workers auto`).
    package var workers: Int?
    /// Where signing keys and sessions.db live.
    package var stateDirectory = "/var/lib/auth-gateway"
    /// Scheme, host and port that clients use; the origin of cookies.
    package var publicURL = PublicURL(scheme: .http, authority: "localhost:8080")
    package var limits = LimitsConfiguration()
    package var logs = LogsConfiguration()
    /// The private listener; nil when the configuration has none.
    package var control: ControlConfiguration?
    package var accessToken = AccessTokenConfiguration()
    package var refreshToken = RefreshTokenConfiguration()
    package var upstreams: [UpstreamConfiguration] = []
    /// In the order of the file; the most specific match wins, whatever the order.
    package var routes: [RouteConfiguration] = []

    package init() {}
}

/// An IP address and port to listen on or to connect to, kept as it was written.
package struct ListenAddress: Sendable, Equatable {
    /// A literal IPv4 or IPv6 address, without brackets.
    package var host: String
    package var port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }
}

/// Scheme, host and port of the gateway as its clients see it.
package struct PublicURL: Sendable, Equatable {
    package enum Scheme: String, Sendable { case http, https }
    package var scheme: Scheme
    /// Host, with the port where it is not the scheme's own, in lower case: what `Origin` and `Host` carry.
    package var authority: String

    package init(scheme: Scheme, authority: String) {
        self.scheme = scheme
        self.authority = authority
    }

    /// The origin as browsers write it (RFC 6454 §6.2): `https://api.example.com`.
    package var origin: String { "\(scheme.rawValue)://\(authority)" }
}

/// The `limits` block.
package struct LimitsConfiguration: Sendable, Equatable {
    package var requestHeaderBytes = 32 * 1024
    package var headerCount = 100
    package var requestBodyBytes: UInt64 = 10 * 1024 * 1024
    package var connections = 20_000
    package var connectionsPerAddress = 256
    /// From the first byte of a request to the end of its head.
    package var headerTimeoutMilliseconds: Int64 = 10_000
    /// Between two reads of a request body.
    package var bodyTimeoutMilliseconds: Int64 = 30_000
    /// A connection with no request on it.
    package var idleTimeoutMilliseconds: Int64 = 75_000

    package init() {}
}

/// The `logs` block.
package struct LogsConfiguration: Sendable, Equatable {
    package enum Destination: Sendable, Equatable {
        case off, stdout, stderr
        case file(String)
    }
    package enum Format: String, Sendable { case json, combined }
    package enum Level: String, Sendable { case error, warning, info, debug }

    package var access = Destination.stdout
    package var accessFormat = Format.json
    package var audit = Destination.stdout
    package var level = Level.info

    package init() {}
}

/// The `control` block.
package struct ControlConfiguration: Sendable, Equatable {
    package var address: ListenAddress
    /// What a caller must present as a bearer token; nil only on a loopback address.
    package var secret: SecretText?

    package init(address: ListenAddress, secret: SecretText?) {
        self.address = address
        self.secret = secret
    }
}

/// A secret from the configuration: it prints as dots, so that no dump, log or error text can show it.
package struct SecretText: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The secret itself. Never log it.
    package let revealed: String

    package init(_ text: String) { revealed = text }

    package var description: String { "••••" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// The `access_token` block.
package struct AccessTokenConfiguration: Sendable, Equatable {
    /// `iss` of our tokens; the public URL where nothing else is said.
    package var issuer = "http://localhost:8080"
    /// `aud` of our tokens.
    package var audience = "api"
    package var lifetimeMilliseconds: Int64 = 15 * 60_000
    package var leewayMilliseconds: Int64 = 30_000

    package init() {}
}

/// The `refresh_token` block.
package struct RefreshTokenConfiguration: Sendable, Equatable {
    package enum Delivery: String, Sendable { case auto, cookie, body }

    /// The one prefix that refresh tokens go to.
    package var path = "/refresh"
    package var idleLifetimeMilliseconds: Int64 = 7 * 86_400_000
    package var maxLifetimeMilliseconds: Int64 = 90 * 86_400_000
    package var cookieRaceWindowMilliseconds: Int64 = 30_000
    package var bodyRaceWindowMilliseconds: Int64 = 60_000
    package var delivery = Delivery.auto

    package init() {}
}

/// An `upstream` block.
package struct UpstreamConfiguration: Sendable, Equatable {
    package var name: String
    package var server: ListenAddress
    package var connectTimeoutMilliseconds: Int64 = 1_000
    /// From the last byte of the request to the response head, and between two reads of the response.
    package var responseTimeoutMilliseconds: Int64 = 60_000
    /// How many idle connections each shard keeps.
    package var keepaliveConnections = 128

    package init(name: String, server: ListenAddress) {
        self.name = name
        self.server = server
    }
}

/// A `route`.
package struct RouteConfiguration: Sendable, Equatable {
    package enum Access: String, Sendable { case required, optional, anonymous }

    /// Lower-case host (without port) that the route is limited to; nil for any host.
    package var host: String?
    /// Normalised path: `/`, `/admin/`, `/ping`.
    package var path: String
    /// `route = /ping`: this path and no other. Otherwise a prefix that matches on segment borders.
    package var isExact: Bool
    /// Index into `GatewayConfiguration.upstreams`.
    package var upstream: Int
    package var access = Access.required
    /// `login`: Session-Start in the answer begins a session.
    package var isLogin = false
    /// `session_control`: Session-End in the answer counts.
    package var isSessionControl = false
    /// Each must be in the token's scope.
    package var requiredScopes: [String] = []
    package var requiredClaims: [ClaimRequirement] = []
    package var identityFields: [IdentityField] = []
    /// nil: the limit of the `limits` block.
    package var requestBodyBytes: UInt64?

    package init(host: String?, path: String, isExact: Bool, upstream: Int) {
        self.host = host
        self.path = path
        self.isExact = isExact
        self.upstream = upstream
    }
}

/// `require claim NAME VALUE…`: the claim equals one of the values, or is an array that holds one of them.
package struct ClaimRequirement: Sendable, Equatable {
    package var name: String
    package var values: [String]

    package init(name: String, values: [String]) {
        self.name = name
        self.values = values
    }
}

/// `identity_header X-Auth-Role claim role;`
package struct IdentityField: Sendable, Equatable {
    package var fieldName: String
    package var claim: String

    package init(fieldName: String, claim: String) {
        self.fieldName = fieldName
        self.claim = claim
    }
}
