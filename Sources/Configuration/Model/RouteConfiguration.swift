// What a `route` means: which requests it takes, what they must show, what is done to them, and who answers.

/// A `route`.
package struct RouteConfiguration: Sendable, Equatable {
    package enum Access: String, Sendable { case required, optional, anonymous }

    /// Who answers the requests of a route.
    package enum Destination: Sendable, Equatable {
        /// Index into `GatewayConfiguration.upstreams`.
        case upstream(Int)
        /// `respond`: the gateway itself.
        case fixed(FixedResponse)
    }

    /// Lower-case host (without port) that the route is limited to; nil for any host.
    package var host: String?
    /// Normalised path: `/`, `/admin/`, `/ping`.
    package var path: String
    /// `route = /ping`: this path and no other. Otherwise a prefix that matches on segment borders.
    package var isExact: Bool
    package var destination: Destination
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
    /// What the path is forwarded without: the route's own, or a beginning of it, with no slash at its end.
    package var strippedPrefix: String?
    /// Set on the forwarded request, in place of whatever the client sent under these names.
    package var setFields: [FieldText] = []
    /// Names of fields that are not forwarded.
    package var removedFields: [String] = []
    /// The methods that the route takes; empty for every one. HEAD goes with GET.
    package var methods: [String] = []
    /// nil: that of the upstream.
    package var responseTimeoutMilliseconds: Int64?
    /// nil: that of the upstream.
    package var idleTimeoutMilliseconds: Int64?
    /// nil: that of the upstream.
    package var tunnelTimeoutMilliseconds: Int64?
    package var rate: RateConfiguration?
    package var cors: CORSConfiguration?
    /// Where a page navigation without a session is sent: a path, maybe with a query.
    package var loginPage: String?
    /// What the route's methods, its rate or the gate would refuse is logged, and let through.
    package var isObserved = false
    package var place = SourcePlace()

    package init(host: String?, path: String, isExact: Bool, destination: Destination) {
        self.host = host
        self.path = path
        self.isExact = isExact
        self.destination = destination
    }

    /// As logs and messages name it: `/admin/`, `= /ping`, `files.example.com/`.
    package var label: String { (isExact ? "= " : "") + (host ?? "") + path }
}

/// `respond 200 "pong";`
package struct FixedResponse: Sendable, Equatable {
    package var status: Int
    package var body: String
    package var contentType: String

    package init(status: Int, body: String = "", contentType: String = "text/plain; charset=utf-8") {
        self.status = status
        self.body = body
        self.contentType = contentType
    }
}

/// A header field with its value.
package struct FieldText: Sendable, Equatable {
    package var name: String
    package var value: String

    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// `rate 5/s burst=10 by=address;`: a token bucket for each client.
package struct RateConfiguration: Sendable, Equatable {
    package enum Key: String, Sendable {
        /// The client's address; the first 64 bits of an IPv6 one.
        case address
        /// The subject of the access token; the address where there is none.
        case subject
    }

    /// Requests per hour, so that `1/h` is as exact as `10/s`.
    package var perHour: Int
    /// How many may come at once.
    package var burst: Int
    package var key: Key

    package init(perHour: Int, burst: Int, key: Key = .address) {
        self.perHour = perHour
        self.burst = burst
        self.key = key
    }
}

/// A `cors` block: who may call from a page of another origin.
package struct CORSConfiguration: Sendable, Equatable {
    /// `https://app.example.com`, in lower case and without the scheme's own port; empty for `*`, any origin.
    package var origins: [String] = []
    /// Whether such calls may carry cookies. Never together with `*`.
    package var allowsCredentials = false
    /// What a preflight says of methods; empty for the common ones.
    package var methods: [String] = []
    /// The request fields that a preflight allows; empty for whatever it asks for.
    package var requestFields: [String] = []
    /// The response fields that scripts may read.
    package var exposedFields: [String] = []
    /// How long a browser may remember a preflight's answer.
    package var maxAgeMilliseconds: Int64 = 600_000

    package init() {}
}

/// `require claim PATH VALUE…`: the claim equals one of the values, or is an array that holds one of them.
package struct ClaimRequirement: Sendable, Equatable {
    package var claim: ClaimPath
    package var values: [String]

    package init(claim: ClaimPath, values: [String]) {
        self.claim = claim
        self.values = values
    }
}

/// `identity_header X-Auth-Role claim role;`
package struct IdentityField: Sendable, Equatable {
    package var fieldName: String
    package var claim: ClaimPath

    package init(fieldName: String, claim: ClaimPath) {
        self.fieldName = fieldName
        self.claim = claim
    }
}
