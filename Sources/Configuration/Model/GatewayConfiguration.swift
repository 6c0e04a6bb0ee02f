// What a validated gateway.conf means: plain values, every default filled in. The rest of the gateway sees
// only this, never text. Durations are milliseconds, sizes bytes; each name says which.

/// A whole, valid configuration.
package struct GatewayConfiguration: Sendable, Equatable {
    /// Where clients connect.
    package var listeners: [ListenerConfiguration] = []
    /// Never nil where a listener has TLS.
    package var tls: TLSConfiguration?
    /// How many shards run; nil is one per core (`workers auto`).
    package var workers: Int?
    /// Who the process becomes when root starts it; nil is nobody else.
    package var user: UserConfiguration?
    /// How long it goes on serving after it was told to stop.
    package var drainDelayMilliseconds: Int64 = 0
    /// How long what has begun may take after that; below the 30 s that service managers give.
    package var drainTimeoutMilliseconds: Int64 = 25_000
    /// Where signing keys and sessions.db live.
    package var stateDirectory = "/var/lib/auth-gateway"
    /// Whose X-Forwarded-For, -Proto, -Host, Forwarded and PROXY headers are believed; nobody's by default.
    package var trustedProxies: [AddressRange] = []
    /// Whether peers on unix sockets are believed as well: `trusted_proxies unix`.
    package var trustsUnixPeers = false
    /// Scheme, host and port that clients use; the origin of cookies.
    package var publicURL = PublicURL(scheme: .http, authority: "localhost:8080")
    package var limits = LimitsConfiguration()
    package var logs = LogsConfiguration()
    /// The private listener; nil when the configuration has none.
    package var control: ControlConfiguration?
    package var accessToken = AccessTokenConfiguration()
    package var refreshToken = RefreshTokenConfiguration()
    /// Whose access tokens are accepted beside our own. No two are of one issuer, and none is of ours.
    package var issuers: [IssuerConfiguration] = []
    package var upstreams: [UpstreamConfiguration] = []
    /// In the order of the file; the most specific match wins, whatever the order.
    package var routes: [RouteConfiguration] = []
    /// What the configuration says of itself, to be held against it.
    package var expectations: [PolicyExpectation] = []

    package init() {}
}

/// A `user` directive.
package struct UserConfiguration: Sendable, Equatable {
    package var name: String
    /// nil is the user's own.
    package var group: String?

    package init(name: String, group: String? = nil) {
        self.name = name
        self.group = group
    }
}

/// A `listen` directive.
package struct ListenerConfiguration: Sendable, Equatable {
    package enum Security: Sendable {
        case plain, tls
        /// Plain, and every request is answered with the same one at the public URL, which is https.
        case redirectsToHTTPS
    }

    package var address: ListenAddress
    package var security: Security
    /// Every connection begins with a PROXY protocol header, version 1 or 2, that says who the client is.
    package var expectsProxyProtocol: Bool

    package init(
        address: ListenAddress, security: Security = .plain, expectsProxyProtocol: Bool = false
    ) {
        self.address = address
        self.security = security
        self.expectsProxyProtocol = expectsProxyProtocol
    }
}

/// Where to listen or to connect to, kept as it was written.
package enum ListenAddress: Sendable, Equatable {
    /// A literal IPv4 or IPv6 address, without brackets.
    case ip(host: String, port: UInt16)
    /// `unix:/run/auth-gateway/http.sock`: the path of a socket.
    case unix(path: String)

    /// nil where there is none.
    package var port: UInt16? {
        if case .ip(_, let port) = self { return port }
        return nil
    }

    /// Whether only this machine can reach it.
    package var isLocal: Bool {
        switch self {
        case .ip(let host, _): IPLiteral.isLoopback(host)
        case .unix: true
        }
    }

    /// Whether the two cannot both be listened on. Port 0 is never taken: the system chooses a free one.
    func isSame(as other: ListenAddress) -> Bool {
        switch (self, other) {
        case (.ip(let host, let port), .ip(let otherHost, let otherPort)):
            port != 0 && port == otherPort && IPLiteral.bytes(of: host) == IPLiteral.bytes(of: otherHost)
        case (.unix(let path), .unix(let otherPath)): path == otherPath
        default: false
        }
    }
}

/// `10.0.0.0/8`: an address and how many of its leading bits count.
package struct AddressRange: Sendable, Equatable {
    /// In network order: 4 or 16 bytes, those behind the prefix all zero. IPv4 that was written as
    /// `::ffff:…` is 4.
    package var bytes: [UInt8]
    package var prefixBits: Int

    package init(bytes: [UInt8], prefixBits: Int) {
        self.bytes = bytes
        self.prefixBits = prefixBits
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

    /// The host alone; an IPv6 address in brackets.
    package var host: String {
        guard let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") else { return authority }
        return String(authority[..<colon])
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
    /// What a client must send of a body, or take of an answer, on average while it is waited for; 0 is no
    /// such rule.
    package var minimumBytesPerSecond: UInt64 = 512
    /// The longest access token that is looked at.
    package var accessTokenBytes = 8 * 1024

    package init() {}
}

/// The `logs` block.
package struct LogsConfiguration: Sendable, Equatable {
    package enum Destination: Sendable, Equatable {
        case off, stdout, stderr
        case file(String)
        case syslog(Syslog)
    }
    /// A syslog daemon on this machine.
    package struct Syslog: Sendable, Equatable {
        /// The path of its datagram socket.
        package var path = "/dev/log"
        package var facility = Facility.daemon
        package var tag = "auth-gateway"

        package init() {}
    }
    package enum Facility: String, Sendable, CaseIterable {
        case user, daemon, auth, authpriv, local0, local1, local2, local3, local4, local5, local6, local7

        /// RFC 5424 §6.2.1; `authpriv` is what the C library calls 10.
        package var code: Int {
            switch self {
            case .user: 1
            case .daemon: 3
            case .auth: 4
            case .authpriv: 10
            case .local0: 16
            case .local1: 17
            case .local2: 18
            case .local3: 19
            case .local4: 20
            case .local5: 21
            case .local6: 22
            case .local7: 23
            }
        }
    }
    package enum Format: String, Sendable { case json, combined }
    package enum Level: String, Sendable { case error, warning, info, debug }

    package var access = Destination.stdout
    package var accessFormat = Format.json
    package var audit = Destination.stdout
    /// Never off.
    package var error = Destination.stderr
    package var level = Level.info

    package init() {}
}

/// The `control` block.
package struct ControlConfiguration: Sendable, Equatable {
    package var address: ListenAddress
    /// What a caller must present as a bearer token; nil only on a loopback address or a unix socket.
    package var secret: SecretText?
    package var place = SourcePlace()

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
