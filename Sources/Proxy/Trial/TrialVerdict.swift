// What the policy says of a described request: each rule in its order with its outcome, and what comes of all
// of them.

package import Configuration

/// What becomes of a described request, and why.
package struct TrialVerdict: Sendable {
    package enum Outcome: Sendable, Equatable {
        case forwarded(Forwarding)
        /// `respond` of the route, a preflight's answer, or an empty one.
        case answered(status: Int)
        /// A browser is sent elsewhere, because of a refusal of this code.
        case redirected(status: Int, location: String, code: String)
        case refused(status: Int, code: String)
        /// It is for one of the gateway's own endpoints.
        case own
    }

    /// A rule that has been asked.
    package struct Step: Sendable, Equatable {
        package enum Result: String, Sendable { case passed, refused, observed, note }

        /// The directive, or what stands for it.
        package var rule: String
        package var result: Result
        package var text: String
    }

    package internal(set) var outcome = Outcome.own
    package internal(set) var steps: [Step] = []
    package internal(set) var route: RouteConfiguration?
    /// What an observed route would have refused it for; empty for nothing.
    package internal(set) var observed = ""

    /// The status that the gateway itself answers; nil where an upstream or an endpoint does.
    package var status: Int? {
        switch outcome {
        case .answered(let status), .redirected(let status, _, _), .refused(let status, _): status
        case .forwarded, .own: nil
        }
    }

    /// The outcome in a few words.
    package var summary: String {
        switch outcome {
        case .forwarded(let forwarding): "it is forwarded to upstream \(forwarding.upstream)"
        case .answered(let status): "the gateway answers \(status)"
        case .redirected(let status, let location, let code):
            "the gateway sends it to \(location) with \(status) (\(code))"
        case .refused(let status, let code): "the gateway refuses it with \(status) (\(code))"
        case .own: "it is for an endpoint of the gateway's own"
        }
    }

    /// The rule that has decided: the one that has refused it, or the last that could have.
    package var decision: String {
        let step = steps.last { $0.result == .refused } ?? steps.last { $0.result != .note } ?? steps.last
        let rule = step.map { "\($0.rule): \($0.text)" } ?? ""
        guard let route else { return rule }
        return "route \(route.label) at \(route.place), \(rule)"
    }

    /// Whether this is what was expected.
    package func isAs(_ expected: PolicyExpectation.Outcome) -> Bool {
        switch (expected, outcome) {
        case (.forwarded, .forwarded): true
        // What an upstream answers is not for the gateway to know; who expects a 200 expects to get there.
        case (.status(200), .forwarded): true
        case (.status(let expected), _): expected == status
        default: false
        }
    }
}

/// A request as an upstream gets it.
package struct Forwarding: Sendable, Equatable {
    package var upstream: String
    package var target: String
    /// What the upstream is told of who sent it.
    package var identity: [FieldText]
    /// Whether it gets the access token too.
    package var hasToken: Bool
}

/// The credential of a described request, where it is more than a description.
package enum TrialToken: Sendable {
    /// One that a gateway has verified: a JSON object.
    case accepted(claims: [UInt8])
    /// One that it has refused, with what it claims where that can be read.
    case refused(TokenRefusal, claims: [UInt8]?)
    /// Whatever it is: to stand where access tokens do.
    case unread(String)
}
