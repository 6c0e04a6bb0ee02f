// What an `expect` means: a request as a person describes one, and what is to become of it. The same
// description serves `auth-gateway explain`.

/// A request as a person describes it.
package struct SampleRequest: Sendable, Equatable {
    package var method: String
    /// The path, maybe with a query, as a client sends it: in whatever form.
    package var target: String
    /// What `Host` says; nil: the host of the public URL.
    package var authority: String?
    package var fields: [FieldText] = []
    /// nil: it carries none.
    package var token: SampleToken?

    package init(method: String = "GET", target: String) {
        self.method = method
        self.target = target
    }
}

/// An access token as a person describes it: good in whatever is not said.
package struct SampleToken: Sendable, Equatable {
    /// Which of the `issuer` blocks it is of, by its name; nil: the gateway itself.
    package var issuer: String?
    package var subject = "somebody"
    package var scopes: [String] = []
    package var claims: [SampleClaim] = []
    package var isExpired = false
    /// It comes in the access cookie, and not in `Authorization`.
    package var isInCookie = false

    package init() {}
}

/// A claim of a described token.
package struct SampleClaim: Sendable, Equatable {
    package var path: ClaimPath
    package var value: String

    package init(path: ClaimPath, value: String) {
        self.path = path
        self.value = value
    }
}

/// An `expect`.
package struct PolicyExpectation: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        /// An upstream gets it.
        case forwarded
        /// The gateway answers so itself. An upstream that gets it may well answer 200.
        case status(Int)
    }

    package var request: SampleRequest
    package var outcome: Outcome
    package var place = SourcePlace()

    package init(request: SampleRequest, outcome: Outcome) {
        self.request = request
        self.outcome = outcome
    }
}
